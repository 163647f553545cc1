"""The terminal table, the sentence and the JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from report_records import CHECKS, METRICS, comparison, decision, metric, rows, side

from llmops.records import Check, SliceResult, SmallSlice, Verdict
from llmops.report import comparison_table, html_report, sentence, to_json
from llmops.report.wording import finding


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
    made = comparison([metric("token_f1", -0.00001, -0.00004, 0.00004)])
    assert "+0.000  [+0.000, +0.000]" in comparison_table(made)


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (0.01, 0.2, "improved"),
        (-0.2, -0.01, "worse"),
        (-0.1, 0.1, "not shown"),
        (0, 0, "not shown"),
    ],
)
def test_a_metric_that_is_not_demanded_is_read_off_its_interval(low, high, word):
    assert finding(metric("rouge_l", low, 0.0, high), decision()).word == word


def test_a_demanded_metric_has_the_verdict_of_the_gate():
    far = metric("likelihood", -0.02, -0.01, -0.001)  # a loss, and within the margin
    assert finding(far, decision()).text == "not worse (margin 0.03)"
    assert finding(far).text == "worse"


def test_a_gain_below_its_margin_is_not_shown():
    check = Check("token_f1", "improve", 0.1, Verdict.INCONCLUSIVE, passed=None)
    assert finding(METRICS[0], decision((check,))).text == "not shown (a gain above 0.1)"


def test_a_demand_to_improve_never_reads_as_proof_that_nothing_was_lost():
    check = Check("rouge_l", "improve", 0.2, Verdict.NOT_WORSE, passed=False)
    wide = metric("rouge_l", -0.5, -0.2, 0.1)
    assert finding(wide, decision((check,))).word == "not shown"


def test_json_holds_the_numbers_of_the_table_and_no_answers():
    record = to_json(comparison(), decision())
    text = json.dumps(record, allow_nan=False)
    assert record["schema_version"] == 1
    assert record["decision"]["exit_code"] == 0
    assert record["metrics"][0]["difference"] == METRICS[0].test.difference
    assert [m["result"] for m in record["metrics"]] == [
        "improved",
        "not shown",
        "worse",
        "not worse",
    ]
    assert "Return the" not in text
    assert to_json(comparison())["decision"] is None


def test_json_says_null_where_json_has_no_number():
    record = to_json(comparison(nll=(float("nan"), float("inf"))))
    assert record["nll_per_token"] == {"baseline": None, "candidate": None}


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


def test_json_has_all_slices_and_what_was_trained_on():
    record = to_json(comparison(slices=SLICES, trained=tuple(rows(2))))
    json.dumps(record, allow_nan=False)
    assert [one["value"] for one in record["slices"]] == ["billing", "shipping\x1b[2J"]
    assert record["slices"][0]["p_adjusted"] == 0.003
    assert record["slices_too_small"] == [{"key": "topic", "value": "tax", "n": 3}]
    assert record["trained_on"] == [row.example.id for row in rows(2)]
