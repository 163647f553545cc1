"""The terminal table, the sentence and the JSON."""

from __future__ import annotations

from dataclasses import replace

import pytest
from report_records import CHECKS, comparison, decision, metric, side

from llmops.records import SliceResult, SmallSlice, Verdict
from llmops.report import comparison_table, html_report, sentence, to_json


def test_the_table_has_a_row_for_each_metric_and_fits_100_columns():
    lines = comparison_table(comparison(), decision()).splitlines()
    assert lines[0].startswith("v3 (models:/docstring-bot/3) vs v2 (models:/docstring-bot/2), 120")
    names = [line.split("  ")[0] for line in lines[2:6]]
    assert names == ["token F1", "ROUGE-L", "one line", "likelihood"]
    assert "+0.208  [+0.062, +0.354]  0.011  64/31/25  improved" in lines[2]
    assert max(map(len, lines[1:6])) <= 100


def test_columns_line_up():
    header, *rows = comparison_table(comparison()).splitlines()[1:6]
    for title in ("v2", "v3", "diff", "95% CI", "result"):
        column = header.index(title)
        assert all(row[column - 1] == " " and row[column] != " " for row in rows)


def test_a_difference_that_is_not_shown_is_never_called_none():
    text = comparison_table(comparison(), decision())
    assert "not shown (MDE ±0.06)" in text
    assert "no change" not in text
    assert "no difference" not in text


def test_likelihoods_notes_and_gate_are_told():
    text = comparison_table(comparison(), decision())
    assert "v2 2.013, v3 1.204" in text
    assert "Note: 2 prompts were left out" in text
    assert "Gate: PASSED 2/2  IMPROVED: v3 beats v2" in text
    assert "likelihood must not lose more than 0.03: NOT_WORSE" in text


@pytest.mark.parametrize(("passed", "word"), [(False, "REJECTED"), (None, "INCONCLUSIVE")])
def test_a_gate_that_does_not_pass_says_which_way(passed, word):
    checks = (replace(CHECKS[0], passed=passed), CHECKS[1])
    assert f"Gate: {word} 1/2" in comparison_table(comparison(), decision(checks))


def test_without_a_decision_there_is_no_gate_line():
    assert "Gate" not in comparison_table(comparison())


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (Verdict.IMPROVED, "IMPROVED: v3 beats v2 on token F1 by +20.8 points"),
        (
            Verdict.NOT_WORSE,
            "NOT_WORSE: v3 is not worse than v2 on token F1: +20.8 points, at worst +6.2",
        ),
        (Verdict.REGRESSED, "REGRESSED: v3 is worse than v2 on token F1: +20.8 points"),
        (
            Verdict.INCONCLUSIVE,
            "INCONCLUSIVE: v3 against v2 on token F1 is inconclusive:"
            " +20.8 points, 95% CI +6.2 to +35.4",
        ),
    ],
)
def test_the_sentence_of_each_verdict(verdict, expected):
    assert sentence(comparison(), "token_f1", verdict) == expected


def test_the_base_is_named_as_such():
    made = comparison(baseline=side("base", "models:/smollm2/1"))
    assert "v3 beats the bare base on" in sentence(made, "token_f1", Verdict.IMPROVED)
    assert "vs the bare base (models:/smollm2/1)" in comparison_table(made)


def test_a_rounded_zero_has_no_sign_of_loss():
    made = comparison([metric("token_f1", -1e-15, -1e-16, 1e-15)])
    assert "+0.000  [+0.000, +0.000]" in comparison_table(made)


def test_a_small_difference_is_not_shown_as_nothing():
    made = comparison([metric("likelihood", 0.0001, 0.00023, 0.0004)])
    assert "+0.00023  [+0.0001, +0.0004]" in comparison_table(made)


def test_after_an_early_stop_the_sentence_leads_with_the_interval():
    early = comparison([metric("token_f1", 0.062, 0.208, 0.354)], method="spend")
    assert sentence(early, "token_f1", Verdict.IMPROVED) == (
        "IMPROVED: v3 beats v2 on token F1 by +6.2 to +35.4 points (stopped early at +20.8)"
    )


def test_a_loss_that_was_tolerated_is_told_without_a_gate():
    tolerated = replace(metric("token_f1", -0.04, 0.01, 0.06), margin=0.05)
    text = comparison_table(comparison([tolerated]))
    assert "not worse (margin 0.05)" in text
    larger = replace(tolerated, margin=0.03)
    assert "not worse" not in comparison_table(comparison([larger]))
    assert to_json(comparison([tolerated]))["metrics"][0]["margin"] == 0.05
    assert "not worse" in html_report(comparison([tolerated]))


SLICES = (
    SliceResult("topic", "billing", 40, -0.2, -0.3, -0.1, 0.001, 0.003, 4, 16, 20),
    SliceResult("topic", "shipping\x1b[2J", 40, 0.02, -0.1, 0.14, 0.6, 0.6, 10, 20, 10),
    SmallSlice("topic", "tax", 3),
)


def test_only_slices_that_differ_are_told():
    text = comparison_table(comparison(slices=SLICES))
    assert (
        "Slice topic billing: -0.200 [-0.300, -0.100], 40 prompts, p 0.003 adjusted for all slices"
        in text
    )
    assert "shipping" not in text
