"""Words, symbols and number formats, and foreign text made safe."""

from __future__ import annotations

from dataclasses import replace

import pytest
from report_records import CHECKS, METRICS, comparison, decision, metric

from llmops.records import Check, Verdict
from llmops.report import wording
from llmops.report.wording import clean, finding, visible


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


def test_what_cannot_be_seen_is_spelled_in_answers():
    assert visible("a\u202eb\x1b[0m\tc\r\nd") == "a⟨U+202E⟩b⟨U+001B⟩[0m\tc\nd"
    assert visible("مرحبا بالعالم") == "مرحبا بالعالم"


def test_a_name_is_one_short_line():
    assert clean("a\n\x1b[31mb\x1b[0m\u202e  c") == "a b c"
    assert clean("x" * 50, 10) == "x" * 9 + "…"
    assert clean("\u0645\u06cc\u200c\u062e") == "\u0645\u06cc\u200c\u062e"


@pytest.mark.parametrize(
    ("formatted", "expected"),
    [
        (wording.signed(0.2084), "+0.208"),
        (wording.signed(-1e-17), "+0.000"),
        (wording.signed(-0.00004), "-4.0e-05"),
        (wording.signed(0.00023), "+0.00023"),
        (wording.points(0.00023), "+0.023"),
        (wording.points(-0.2084), "-20.8"),
        (wording.p_value(0.0112), "0.011"),
        (wording.p_value(0.0009), "<0.001"),
        (wording.p_value(float("nan")), "-"),
        (wording.p_equals(0.0112), "p = 0.011"),
        (wording.p_equals(0.0009), "p < 0.001"),
        (wording.p_equals(float("nan")), "no p-value"),
        (wording.percent(0.95), "95%"),
        (wording.percent(0.999), "99.9%"),
        (wording.typeset("-1 to +2"), "\N{MINUS SIGN}1 to +2"),
        (wording.metric_name("token_f1"), "token F1"),
        (wording.metric_name("json_schema_order"), "json schema order"),
        (wording.metric_name("\x1b[2J"), "unnamed"),
    ],
)
def test_numbers_and_names_are_formatted(formatted, expected):
    assert formatted == expected


def test_clusters_are_mentioned_only_if_prompts_share_one():
    assert wording.prompts(METRICS[0]) == "120 paired prompts in 34 clusters"
    alone = metric("token_f1", 0.1, 0.2, 0.3, n=1, clusters=1)
    assert wording.prompts(alone) == "1 paired prompt"


def test_the_policys_first_requirement_names_the_primary_metric():
    assert wording.primary(comparison(), decision((CHECKS[1],))).metric == "likelihood"
    unknown = replace(CHECKS[0], metric="not_computed")
    assert wording.primary(comparison(), decision((unknown,))).metric == "token_f1"
    assert wording.primary(comparison()).metric == "token_f1"


@pytest.mark.parametrize(
    ("must", "margin", "text"),
    [
        ("improve", 0.0, "token F1 must improve"),
        ("improve", 0.02, "token F1 must improve by more than 0.02"),
        ("not_regress", 0.05, "token F1 must not lose more than 0.05"),
    ],
)
def test_a_requirement_is_a_sentence(must, margin, text):
    assert wording.demand(replace(CHECKS[0], must=must, margin=margin)) == text


@pytest.mark.parametrize(
    ("changes", "demanded", "found"),
    [
        ({"slice": ("topic", "billing")}, "token F1 on topic=billing must improve", "IMPROVED"),
        (
            {"must": "at_least", "value": 0.9, "observed": 0.75, "reason": "95% CI 0.7 to 0.8"},
            "token F1 must be at least 0.9",
            "0.75 (95% CI 0.7 to 0.8)",
        ),
        (
            {"metric": "mean_tokens", "must": "at_most", "value": 60.0, "observed": 71.25},
            "mean tokens of an answer must be at most 60",
            "71.25",
        ),
        (
            {"metric": "mean_seconds", "must": "at_most", "value": 2.0, "reason": "not measured"},
            "mean seconds of an answer must be at most 2",
            "unknown (not measured)",
        ),
        ({"must": "hold"}, "the judge of token F1 must pass its controls", "held"),
        (
            {"must": "hold", "passed": None, "reason": "it leans"},
            "the judge of token F1 must pass its controls",
            "not held (it leans)",
        ),
    ],
)
def test_floors_budgets_slices_and_controls_are_sentences(changes, demanded, found):
    check = replace(CHECKS[0], **changes)
    assert wording.demand(check) == demanded
    assert wording.outcome(check) == found


def test_a_metric_is_described_by_the_check_of_its_whole_difference():
    sliced = replace(CHECKS[0], slice=("topic", "billing"), verdict=Verdict.REGRESSED, passed=False)
    floor = replace(CHECKS[0], must="at_least", value=0.9, verdict=Verdict.INCONCLUSIVE)
    made = decision((sliced, floor, CHECKS[0]))
    assert wording.differences_of(made) == (CHECKS[0],)
    assert wording.differences_of(None) == ()
    assert wording.verdict(METRICS[0], made) is Verdict.IMPROVED
