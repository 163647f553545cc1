"""The one-file report: complete, readable without anything else, bounded."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from report_pages import headings, parse, section, text_of
from report_records import CHECKS, METRICS, RUN, comparison, decision, metric, row, rows, side

from llmops.records import SliceResult, SmallSlice, Verdict
from llmops.report import html_report
from llmops.report.html import examples


@pytest.fixture(scope="module")
def page() -> str:
    return html_report(comparison(shown=rows(60)), decision())


def test_the_first_screen_tells_verdict_status_and_numbers(page):
    assert "<h1>IMPROVED: v3 beats v2 on token F1 by +20.8 points</h1>" in page
    assert '<span class="pill PASSED">✓ PASSED</span>' in page
    assert "95% CI +6.2 to +35.4, p = 0.011, 120 paired prompts in 34 clusters" in page
    assert "token F1 must improve" in page
    assert "2 prompts were left out" in page


def test_every_part_is_there_in_the_order_of_reading(page):
    assert headings(parse(page)) == [
        "Evidence",
        "Wins, ties, losses",
        "Differences of token F1, prompt by prompt",
        "Interval by number of prompts",
        "Answers",
        "Examples",
        "Provenance",
    ]


def test_it_has_all_figures_inline_and_nothing_from_elsewhere(page):
    assert page.count("<svg ") == 3
    assert "<script" not in page
    assert not re.search(r"<(?:a|link|img|iframe|object|embed|base|form)\b", page)
    assert not re.search(r"\bsrc=|href=|url\(|@import", page)
    assert "default-src 'none'" in page
    assert "background: #fff" in page


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
    assert text_of(page.find(".//h1")) == told
    assert text_of(page.find(".//span[2]")) == pill
    assert text_of(page.find(".//title")) == f"v3 vs v2: {pill[2:]}"
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
    assert page.count('<article class="example">') == sum(examples.MOST.values())


@pytest.mark.parametrize(("available", "stopped"), [(12, False), (120, True)])
def test_slices_say_whether_they_allow_for_looks(available: int, stopped: bool) -> None:
    slices = (SliceResult("topic", "billing", 40, -0.2, -0.3, -0.1, 0.001, 0.003, 4, 16, 20),)
    page = html_report(comparison(slices=slices, available=available))
    assert ("stopped early, so p and intervals also allow for each look" in page) is stopped


def test_a_suite_without_rows_or_losses_is_shown():
    assert "0 prompts that v3 loses" in html_report(comparison(shown=()), decision())
