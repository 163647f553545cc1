"""The one-file report: complete, readable without anything else, bounded."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from report_pages import headings, panes, parse, section, table, text_of
from report_records import CHECKS, METRICS, RUN, comparison, decision, metric, row, rows, side

from llmops.records import SliceResult, SmallSlice, Verdict
from llmops.report import comparison_table, first_screen, forest_svg, html_report, wording
from llmops.report.html import examples
from llmops.report.html.panes import MOST


@pytest.fixture(scope="module")
def page() -> str:
    return html_report(comparison(shown=rows(60)), decision())


def test_the_first_screen_tells_verdict_status_and_numbers(page):
    assert "<h1>IMPROVED: v3 beats v2 on token F1 by +20.8 points</h1>" in page
    assert '<span class="pill PASSED">✓ PASSED</span>' in page
    assert "95% CI +6.2 to +35.4 points, p = 0.011, 120 paired prompts in 34 clusters" in page
    assert "token F1 must improve" in page
    assert "2 prompts were left out" in page


def test_every_part_is_there_in_the_order_of_reading(page):
    assert headings(parse(page)) == [
        "Evidence",
        "Wins, ties, losses",
        "Metric by metric",
        "Answers",
        "Settings",
        "Provenance",
    ]
    assert headings(parse(page), "h3")[:3] == [
        "Differences of token F1, prompt by prompt",
        "Interval by number of prompts",
        "Examples",
    ]


def test_every_metric_has_its_pane_and_the_leading_one_is_open(page):
    tree = parse(page)
    shown = panes(tree)
    assert list(shown) == ["token F1", "ROUGE-L", "one line", "likelihood"]
    buttons = [each for each in tree.iter("input") if each.get("type") == "radio"]
    assert [each.get("checked") is not None for each in buttons] == [True, False, False, False]
    for number, (name, pane) in enumerate(shown.items(), 1):
        assert pane.get("class") == f"pane pane-{number}"
        assert f"#metric-{number}:checked ~ .pane-{number}" in page
        assert f"Differences of {name}, prompt by prompt" in headings(pane, "h3")
        assert "Examples" in headings(pane, "h3")


def test_the_gates_first_metric_is_the_first_of_the_switch():
    shown = panes(parse(html_report(comparison(), decision(CHECKS[1:]))))
    assert list(shown) == ["likelihood", "token F1", "ROUGE-L", "one line"]


def test_slices_of_every_metric_stand_in_its_pane():
    one = SliceResult("topic", "billing", 40, -0.2, -0.3, -0.1, 0.001, 0.003, 4, 16, 20)
    made = comparison(slices=(one,), further_slices={"rouge_l": (replace(one, value="tax"),)})
    shown = panes(parse(html_report(made)))
    assert "topic billing" in text_of(section(shown["token F1"], "By slice"))
    assert "topic tax" in text_of(section(shown["ROUGE-L"], "By slice"))
    assert "By slice" not in headings(shown["one line"], "h3")


def test_many_metrics_are_named_without_a_pane():
    made = comparison([metric(f"m{i}", -0.1, 0.0, 0.1) for i in range(9)], shown=())
    page = html_report(made)
    assert len(panes(parse(page))) == MOST
    assert "Not shown here, but in the JSON: m6, m7, m8." in page


def test_the_heading_names_the_models_and_the_date():
    page = parse(html_report(comparison(when="2026-11-28T12:03:44+00:00"), decision()))
    (kicker,) = (each for each in page.iter("div") if each.get("class") == "kicker")
    assert [text_of(each) for each in kicker] == [
        "docstring-bot/3 vs docstring-bot/2",
        "2026-11-28 12:03 UTC",
        "✓ PASSED",
    ]
    assert text_of(page.find(".//title")) == "docstring-bot/3 vs docstring-bot/2: PASSED"


def test_the_settings_say_how_the_answers_were_made_and_what_each_scorer_is():
    settings = {
        "method": "spend",
        "engine": "local",
        "max_tokens": 64,
        "temperature": 0.0,
        "scorers": [
            {"name": "token_f1", "spec": "token_f1"},
            {"name": "ends", "spec": "regex:[.]$"},
            {"name": "mine", "spec": "function:mine"},
        ],
    }
    shown = section(parse(html_report(comparison(settings=settings))), "Settings")
    names, values = ([text_of(each) for each in shown.iter(tag)] for tag in ("dt", "dd"))
    found = dict(zip(names, values, strict=True))
    assert found["max tokens"] == "64"
    assert found["confidence"] == "0.95"
    assert found["scorer token F1"].startswith("token_f1: overlap of words")
    assert found["scorer ends"].startswith("regex:[.]$: 1 if the pattern")
    assert "`" not in found["scorer ends"]
    assert found["scorer mine"] == "function:mine"


def test_a_difference_outside_its_interval_is_explained():
    made = comparison([metric("token_f1", 0.1, 0.3, 0.2)], method="obf")
    page = html_report(made)
    assert "token F1: the difference lies outside its interval" in page
    assert "look of the method obf" in page
    assert "outside its interval" in comparison_table(made)
    assert "outside its interval" not in html_report(comparison())


@pytest.mark.parametrize("gate", [decision(), None])
def test_no_number_of_the_table_is_drawn_again(gate):
    evidence = section(parse(html_report(comparison(shown=()), gate)), "Evidence")
    drawn = [text_of(text) for svg in evidence.iter("svg") for text in svg.iter("text")]
    assert [text for text in drawn if "0.208" in text or "0.708" in text] == []
    assert "0.708" not in forest_svg(comparison(), gate)


def test_the_first_screen_for_a_notebook_acts_on_nothing_around_it():
    page = first_screen(comparison())
    assert "<script" not in page
    style = re.sub(r"@media[^{]*", "", page[page.index("<style>") + 7 : page.index("</style>")])
    depth, outside = 0, ""
    for character in style:
        outside += character if depth == 0 else ""
        depth += {"{": 1, "}": -1}.get(character, 0)
    assert set(re.findall(r"[.\w]+", outside)) == {".llmops"}, "every rule is within the block"
    tree = parse(f"<html>{page}</html>")
    assert text_of(tree.find(".//h1")) == "v3 beats v2 on token F1 by +20.8 points"
    assert len(table(tree)) == 1 + len(METRICS)


def test_it_has_all_figures_inline_and_nothing_from_elsewhere(page):
    assert page.count("<svg ") == 1 + 4 + 4 + 1, "axis, a strip and a histogram each, narrowing"
    assert "<script" not in page
    assert not re.search(r"<(?:a|link|img|iframe|object|embed|base|form)\b", page)
    assert not re.search(r"\bsrc=|href=|url\(|@import", page)
    assert "default-src 'none'" in page
    assert "--paper: #fff" in page
    assert "prefers-color-scheme: dark" in page


def test_addresses_and_digests_are_printed_as_text(page):
    assert "models:/docstring-bot/3" in page
    assert RUN in page
    assert "cd" * 32 in page


@pytest.mark.parametrize(
    ("passed", "pill"), [(False, "✕ REJECTED"), (None, "? INCONCLUSIVE"), (True, "✓ PASSED")]
)
def test_the_outcome_is_a_word_and_a_shape(passed, pill):
    made = decision((replace(CHECKS[0], passed=passed),), Verdict.INCONCLUSIVE)
    assert pill in html_report(comparison(), made)


@pytest.mark.parametrize(
    ("bounds", "pill", "told"),
    [
        ((0.062, 0.208, 0.354), "▲ improved", "v3 beats v2 on token F1 by +20.8 points"),
        ((-0.3, -0.2, -0.1), "▼ worse", "v3 is worse than v2 on token F1: -20.0 points"),
        (
            (-0.1, 0.0, 0.1),
            "● not shown",
            "v3 against v2 on token F1 is inconclusive: +0.0 points, 95% CI -10.0 to +10.0",
        ),
    ],
)
def test_without_a_gate_the_first_metric_speaks(bounds, pill, told):
    made = comparison([metric("token_f1", *bounds), *METRICS[1:]])
    page, gated = (parse(html_report(made, d)) for d in (None, decision()))
    assert text_of(page.find(".//h1")) == wording.typeset_within(told)
    assert pill in [text_of(each) for each in page.iter("span")]
    assert text_of(page.find(".//title")) == f"docstring-bot/3 vs docstring-bot/2: {pill[2:]}"
    assert headings(page) == headings(gated)
    assert page.find(".//ul") is None
    assert gated.find(".//ul") is not None
    names = [text_of(name) for name in section(page, "Provenance").iter("dt")]
    assert "evidence" not in names
    assert "evidence" in [text_of(name) for name in section(gated, "Provenance").iter("dt")]


def test_without_a_gate_no_margin_is_drawn_or_told():
    page = html_report(comparison())
    assert "margin 0.03" in html_report(comparison(), decision())
    assert "margin 0.03" not in page


def test_an_example_shows_prompt_answers_expected_and_scores():
    messages = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"})
    shown = (row(1, "the old words", "the new words", (0.5, 0.25), messages=messages),)
    page = html_report(comparison(shown=shown), decision())
    assert ">Why?</div>" in page
    assert ">system: Be brief.</div>" in page
    assert "Return the last access time of a file." in page
    assert "the <del>old</del> words" in page
    assert "the <ins>new</ins> words" in page
    assert "token F1 0.500 → 0.250" in page
    assert "64 tokens, stopped by the limit" in page


def test_an_empty_answer_is_named():
    page = html_report(comparison(shown=(row(1, "words", "", (0.5, 0.0)),)), decision())
    assert "empty</i>" in page


def test_a_thousand_rows_stay_below_2_mb_and_say_how_many_are_shown():
    # The dearest characters: five bytes once escaped, every second word marked.
    dear = "&'" * 5_000
    messages = ({"role": "system", "content": dear}, {"role": "user", "content": dear})
    hard = tuple(
        row(
            *(i, "' <& " * 5_000, "' >& " * 5_000, (0.5, (i % 3) / 2)),
            expected=dear,
            messages=messages,
        )
        for i in range(1_000)
    )
    scored = [metric(dear[:31] + str(i), -0.1, 0.0, 0.1) for i in range(100)]
    hard = tuple(
        replace(
            one,
            baseline_scores=dict.fromkeys([m.metric for m in scored], 0.5) | one.baseline_scores,
            candidate_scores=dict.fromkeys([m.metric for m in scored], 0.5) | one.candidate_scores,
        )
        for one in hard
    )
    sides = {which: side(dear) for which in ("baseline", "candidate")}
    made = comparison([METRICS[0], *scored], hard, notes=(dear,) * 50, suite_name=dear, **sides)
    slices = [SliceResult(dear, dear, 50, 0.1, -0.1, 0.3, 0.04, 0.05, *(10,) * 3)] * 1_000
    small = [SmallSlice(dear, dear, 3)] * 1_000
    page = html_report(replace(made, slices=(*slices, *small)), decision())
    assert len(page.encode()) < 2_000_000
    page = html_report(comparison(shown=hard), decision())
    assert "334 prompts that v3 loses (first 30 shown)" in page
    assert page.count('<article class="example">') == sum(examples.MOST.values()) + 3 * sum(
        examples.FEW.values()
    )


@pytest.mark.parametrize(("available", "stopped"), [(12, False), (120, True)])
def test_slices_say_whether_they_allow_for_looks(available: int, stopped: bool) -> None:
    slices = (SliceResult("topic", "billing", 40, -0.2, -0.3, -0.1, 0.001, 0.003, 4, 16, 20),)
    page = html_report(comparison(slices=slices, available=available))
    assert ("stopped early, so p and intervals also allow for each look" in page) is stopped


def test_a_suite_without_rows_or_losses_is_shown():
    assert "0 prompts that v3 loses" in html_report(comparison(shown=()), decision())
