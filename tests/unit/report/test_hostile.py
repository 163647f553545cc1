"""Foreign text of every kind, in every place, is shown and never acts."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from report_records import LINKS, comparison, decision, metric, row, side

from llmops.records import Check, Decision, SliceResult, SmallSlice, Verdict
from llmops.report import comparison_table, evidence_card, forest_svg, html_report, version_tags
from llmops.report.markdown import LIMIT

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "textarea": "</textarea></style></svg><img src=x onerror=alert(1)>",
    "attribute": '" onload="alert(1)" x=\'',
    "template": "{{ 7 * 7 }}{% raw %}",
    "ansi": "\x1b[2J\x1b[31mred\x1b[0m \x9b31m \x1b]0;title\x07 \x08\x08\r\n",
    "rtl": "safe\u202etxt.exe\u2066\u2069\u200e",
    "table": "a | b\nc | **d** | `e`\n---\n# f\n[g](javascript:h)",
    "surrogate": "lone \ud800 and \ufffe and \x00",
    "megabyte": "<&'\" word " * 100_000,
    "joined": "x" * 1_000_000,
    "hidden": "\u202e" * 1_000_000,
    "arabic": "مرحبا بالعالم",
}


class Tags(HTMLParser):
    """Collects elements and attributes as a browser would see them."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}


@pytest.fixture(params=HOSTILE.values(), ids=HOSTILE.keys())
def hostile(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def made(text: str):
    """A comparison and a decision with the text wherever text can come from outside."""
    message = {"role": text, "content": text}
    shown = tuple(
        row(
            *(i, text, text + " more", (0.5, i / 4), ("token_f1", text)),
            id=text,
            expected=text,
            messages=(message,) * 2,
        )
        for i in range(5)
    )
    results = (metric("token_f1", 0.1, 0.2, 0.3), metric(text, -0.1, 0.0, 0.1))
    sides = {"baseline": side(text, text), "candidate": side(text, text)}
    checks = (Check(text, "improve", 0.0, Verdict.INCONCLUSIVE, passed=None),)
    return (
        comparison(results, shown, suite_name=text, notes=(text,) * 3, **sides),
        decision(checks, Verdict.INCONCLUSIVE, sentence=text),
    )


def test_the_terminal_receives_printable_lines_only(hostile):
    text = comparison_table(*made(hostile))
    for character in text.replace("\n", ""):
        assert unicodedata.category(character) not in ("Cc", "Cf", "Cs")
    assert "[31m" not in text
    assert len(text.splitlines()) == 1 + 3 + 2 + 3 + 2
    assert max(map(len, text.splitlines())) < 700


def test_the_figure_is_xml_without_foreign_elements(hostile):
    root = ElementTree.fromstring(forest_svg(*made(hostile)).encode())
    names = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert names == {"svg", "title", "rect", "g", "line", "path", "text"}
    assert not any(name.startswith("on") for element in root.iter() for name in element.attrib)


def test_the_card_keeps_its_shape(hostile):
    card = evidence_card(*made(hostile), {**LINKS, hostile[:300]: "#/a"})
    card.encode()
    assert len(card) < LIMIT
    assert card.splitlines()[1] == "---"
    assert card.count("\n---\n") == 1
    table = [line for line in card.splitlines() if line.startswith("|")]
    assert len(table) == 4
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {7}
    prose = re.sub(r"(?<!\\)`[^`]*`", "", card)  # code spans show everything as it is
    assert not re.search(r"(?<!\\)<(?!br>)", prose)
    assert not re.search(r"(?<!\\)\]\(javascript", prose)


def test_the_card_is_bounded_when_everything_is_long():
    long = "|*" * 500_000
    first, verdict = made(long)
    many = [metric(f"{long}{i}", -0.1, 0.0, 0.1) for i in range(50)]
    links = {f"{i}{long}": "#/" + "a" * 230 for i in range(50)}
    crowded = comparison([*first.metrics, *many], baseline=first.baseline, notes=(long,) * 50)
    assert len(evidence_card(crowded, verdict, links)) < LIMIT


def test_the_tags_are_short_lines(hostile):
    for key, value in version_tags(*made(hostile)).items():
        value.encode()
        assert len(key) + len(value) <= 30
        assert value.isprintable()


@pytest.mark.parametrize("gated", [True, False])
def test_the_report_has_only_elements_of_its_template(hostile, gated):
    compared, judged = made(hostile)
    asked: Decision | None = judged if gated else None
    slices = (
        SliceResult(hostile, hostile, 50, 0.1, 0.05, 0.3, 0.01, 0.01, 10, 10, 10),
        SmallSlice(hostile, hostile, 3),
    )
    page = html_report(replace(compared, slices=slices), asked)
    parser = Tags()
    parser.feed(page)
    assert not parser.seen & {"script", "img", "a", "textarea", "iframe", "link", "form"}
    assert not any(name.startswith("on") or name in ("src", "href") for name in parser.attributes)
    assert len(page.encode()) < 2_000_000
    assert "49</div>" not in page  # what a template in a text would have computed
