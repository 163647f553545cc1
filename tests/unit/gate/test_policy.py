from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from policy_figures import BILLING, FLOOR, NO_LOSS
from policy_figures import compared as figured
from policy_figures import policy as figured_policy

from llmops.errors import UsageError
from llmops.gate import gate
from llmops.gate.evidence.record import links_of
from llmops.gate.policy import decide
from llmops.models.proof import schema
from llmops.recipe.schema import Gate
from llmops.records import (
    BaseModel,
    Comparison,
    JudgeControls,
    MetricResult,
    ModelFiles,
    PairedTest,
    Verdict,
)
from llmops.stats import SequentialTest


def side(label: str, digest: str) -> ModelFiles:
    from pathlib import Path

    base = BaseModel("tiny", "models:/tiny/1", "b" * 64, Path("nowhere"))
    return ModelFiles(
        label, f"models:/bot/{label[1:]}", base, Path("nowhere"), digest, f"m-{digest[:3]}"
    )


def comparison(
    *intervals: tuple[str, float, float], n: int = 100, same: bool = False
) -> Comparison:
    metrics = tuple(
        MetricResult(
            name,
            0.5,
            0.5 + (low + high) / 2,
            PairedTest((low + high) / 2, low, high, 0.5, n, n, 1, n - 2, 1, 0.95, 0.05),
        )
        for name, low, high in intervals
    )
    return Comparison(
        baseline=side("v1", "a" * 64),
        candidate=side("v2", "a" * 64 if same else "c" * 64),
        suite_name="s",
        suite_digest="d" * 64,
        metrics=metrics,
        rows=(),
        method="fixed",
        available=n,
        nll=(2.0, 1.5),
        notes=(),
        seconds=1.0,
        run_id="r",
        experiment_id="1",
        child_run_ids=("x", "y"),
    )


def policy(*require: dict[str, object], min_prompts: int = 50) -> Gate:
    return Gate.model_validate({"require": list(require), "min_prompts": min_prompts})


NOT_REGRESS = {"metric": "token_f1", "must": "not_regress", "margin": 0.05}
IMPROVE = {"metric": "token_f1", "must": "improve", "margin": 0.02}
ANY_GAIN = {"metric": "token_f1", "must": "improve"}


@pytest.mark.parametrize(
    ("requirement", "low", "high", "verdict", "code"),
    [
        (NOT_REGRESS, 0.01, 0.09, Verdict.IMPROVED, 0),
        (NOT_REGRESS, -0.04, 0.09, Verdict.NOT_WORSE, 0),
        (NOT_REGRESS, -0.04, -0.01, Verdict.NOT_WORSE, 0),  # worse, but within what is tolerated
        (NOT_REGRESS, -0.06, 0.09, Verdict.INCONCLUSIVE, 4),
        (NOT_REGRESS, -0.05, 0.09, Verdict.INCONCLUSIVE, 4),  # exactly the margin is not shown
        (NOT_REGRESS, -0.09, -0.02, Verdict.REGRESSED, 3),
        (NOT_REGRESS, -0.07, -0.01, Verdict.REGRESSED, 4),  # a loss, perhaps a tolerated one
        (IMPROVE, 0.03, 0.09, Verdict.IMPROVED, 0),
        (IMPROVE, 0.01, 0.09, Verdict.INCONCLUSIVE, 4),  # better, but by how much?
        (IMPROVE, 0.001, 0.015, Verdict.IMPROVED, 3),  # better, but by less than demanded
        (IMPROVE, -0.04, 0.09, Verdict.INCONCLUSIVE, 4),
        (IMPROVE, -0.5, 0.01, Verdict.INCONCLUSIVE, 3),  # no such gain; never "not worse"
        (IMPROVE, -0.09, -0.01, Verdict.REGRESSED, 3),
        (IMPROVE, -0.09, 0.02, Verdict.INCONCLUSIVE, 4),  # up to exactly the margin
        (ANY_GAIN, -0.09, 0.0, Verdict.INCONCLUSIVE, 4),  # the exact test shows no loss
        (ANY_GAIN, 0.0, 0.09, Verdict.INCONCLUSIVE, 4),
    ],
)
def test_the_interval_decides(
    requirement: dict[str, object], low: float, high: float, verdict: Verdict, code: int
) -> None:
    decision = gate(comparison(("token_f1", low, high)), policy(requirement))
    assert (decision.verdict, decision.exit_code) == (verdict, code)
    assert decision.passed is (code == 0)
    assert decision.sentence.startswith(str(verdict))


@pytest.mark.parametrize("losses", range(3, 9))
@pytest.mark.parametrize("requirement", [ANY_GAIN, IMPROVE, NOT_REGRESS])
def test_the_gate_decides_as_the_sequential_test(requirement: dict[str, Any], losses: int) -> None:
    gains = [-1.0] * losses + [0.0] * (50 - losses)
    test = SequentialTest(
        requirement["must"], requirement.get("margin", 0.0), cap=50, method="fixed", alpha=0.025
    )
    test.update(gains, candidate=[1 + gain if gain else 1.0 for gain in gains])
    result = test.finish()
    compared = comparison(("token_f1", result.low, result.high), n=50)
    plain = replace(compared.metrics[0].test, difference=result.difference)
    found = replace(compared, metrics=(replace(compared.metrics[0], test=plain),))
    (check,) = gate(found, policy(requirement)).checks
    assert check.passed is result.passed


def test_all_requirements_must_hold() -> None:
    second = {"metric": "rouge_l", "must": "not_regress", "margin": 0.05}
    good, bad, unclear = ("token_f1", 0.1, 0.2), ("rouge_l", -0.2, -0.1), ("rouge_l", -0.2, 0.1)
    assert gate(comparison(good, bad), policy(NOT_REGRESS, second)).exit_code == 3
    assert gate(comparison(good, unclear), policy(NOT_REGRESS, second)).exit_code == 4
    rejected = gate(comparison(("token_f1", -0.2, 0.1), bad), policy(NOT_REGRESS, second))
    assert rejected.exit_code == 3, "a proven regression outweighs an open question"
    assert rejected.verdict == Verdict.REGRESSED


def test_too_few_prompts_never_pass() -> None:
    decision = gate(comparison(("token_f1", 0.3, 0.4), n=49), policy(NOT_REGRESS))
    assert (decision.verdict, decision.exit_code) == (Verdict.INCONCLUSIVE, 4)


def test_an_open_requirement_says_why() -> None:
    few = gate(comparison(("token_f1", 0.3, 0.4), n=10), policy(NOT_REGRESS))
    assert few.checks[0].reason == "10 prompts count, gate.min_prompts is 50"
    loss = gate(comparison(("token_f1", -0.07, -0.01)), policy(NOT_REGRESS))
    assert loss.checks[0].reason == "a loss is shown, but not whether it is more than 0.05"
    wide = gate(comparison(("token_f1", -0.07, 0.01)), policy(NOT_REGRESS))
    assert "80% power" in wide.checks[0].reason
    assert gate(comparison(("token_f1", 0.3, 0.4)), policy(NOT_REGRESS)).checks[0].reason == ""


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_a_metric_that_tells_nothing_is_no_pass(score: float) -> None:
    import dataclasses

    made = comparison(("token_f1", -0.02, 0.02))
    same = dataclasses.replace(made.metrics[0], baseline=score, candidate=score)
    decision = gate(dataclasses.replace(made, metrics=(same,)), policy(NOT_REGRESS))
    assert (decision.verdict, decision.exit_code) == (Verdict.INCONCLUSIVE, 4)
    assert "tells nothing" in decision.checks[0].reason


def test_the_same_bytes_are_as_good_and_no_better() -> None:
    wide = comparison(("token_f1", -0.2, 0.2), same=True)
    assert gate(wide, policy(NOT_REGRESS)).verdict == Verdict.NOT_WORSE
    assert gate(wide, policy(IMPROVE)).passed is False


def test_a_metric_that_was_not_computed_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="'token_f1' was not computed; available: rouge_l"):
        gate(comparison(("rouge_l", 0.1, 0.2)), policy(NOT_REGRESS))


def test_evidence_changes_with_every_byte_it_is_about() -> None:
    import dataclasses

    first = comparison(("token_f1", 0.1, 0.2))
    digests = {
        gate(first, policy(NOT_REGRESS)).evidence_digest,
        gate(first, policy({**NOT_REGRESS, "margin": 0.06})).evidence_digest,
        gate(
            dataclasses.replace(first, suite_digest="e" * 64), policy(NOT_REGRESS)
        ).evidence_digest,
        gate(
            dataclasses.replace(first, candidate=side("v2", "f" * 64)), policy(NOT_REGRESS)
        ).evidence_digest,
        gate(comparison(("token_f1", 0.1, 0.21)), policy(NOT_REGRESS)).evidence_digest,
    }
    assert len(digests) == 5
    again = gate(first, policy(NOT_REGRESS)).evidence_digest
    assert again in digests


def test_the_link_to_the_rows_leads_somewhere_without_traces_too() -> None:
    compared = comparison(("token_f1", 0.0, 0.1))
    assert links_of(compared)["Row by row"].endswith("/runs/y/traces?compareToRunUuid=x")
    untraced = links_of(replace(compared, traced=False))
    assert untraced["Row by row"] == "#/experiments/1/runs/r/artifacts/rows.json"


LENIENT = {"on_inconclusive": "pass"}
TOO_MUCH = {"budgets": {"mean_tokens": 10}}


@pytest.mark.parametrize(
    ("low", "n", "keys", "passed", "code"),
    [
        (-0.06, 60, {}, False, 4),
        (-0.06, 60, LENIENT, True, 0),
        (-0.01, 60, LENIENT, True, 0),
        (-0.06, 49, LENIENT, False, 4),  # too few prompts stay too few
        (-0.2, 60, LENIENT, False, 3),  # a shown regression
        (-0.07, 60, {**LENIENT, **TOO_MUCH}, False, 3),
    ],
)
def test_what_is_not_shown_passes_only_where_the_policy_says_so(
    low: float, n: int, keys: dict[str, object], passed: bool, code: int
) -> None:
    decision = gate(figured([(0.5, 0.5)] * n, low=low), figured_policy(**keys))
    assert (decision.passed, decision.exit_code) == (passed, code)
    assert bool(decision.note) is (passed and low == -0.06)
    if decision.note:
        assert decision.sentence.startswith(
            "PASSED WITHOUT PROOF (gate.on_inconclusive is pass; 1 of 1 requirements not shown): INC"
        )


def test_a_tolerated_loss_that_is_shown_does_not_pass_as_undecided() -> None:
    test = replace(comparison(("token_f1", -0.06, -0.01)).metrics[0].test, difference=-0.03)
    made = comparison(("token_f1", -0.06, -0.01))
    shown = replace(made, metrics=(replace(made.metrics[0], test=test),))
    assert gate(shown, figured_policy(**LENIENT)).exit_code == 4


def test_floors_budgets_and_slices_must_all_hold() -> None:
    good = figured([(0.4, 0.95)] * 80, topics=("billing", "other"), low=0.01)
    demands = (NO_LOSS, FLOOR, BILLING)
    assert gate(good, figured_policy(*demands)).passed
    low = gate(figured([(0.4, 0.6)] * 80, topics=("billing",), low=0.01), figured_policy(*demands))
    assert (low.exit_code, low.verdict) == (3, Verdict.IMPROVED)
    assert low.sentence.startswith("REJECTED: one line must be at least 0.8: 0.6 (95% CI ")
    mixed = [(0.9, 0.1), (0.1, 0.9)] * 40
    sliced = gate(
        figured(mixed, topics=("billing", "other"), low=0.01), figured_policy(*demands[::2])
    )
    assert (sliced.exit_code, sliced.verdict) == (3, Verdict.REGRESSED)
    assert sliced.sentence.startswith("REJECTED: token F1 on topic=billing must not lose more than")
    dear = gate(good, figured_policy(*demands, **TOO_MUCH))
    assert dear.exit_code == 3
    assert dear.sentence == "REJECTED: mean tokens of an answer must be at most 10: 20"


def test_a_budget_that_was_not_measured_is_never_waived() -> None:
    made = figured([(0.5, 0.5)] * 60, low=0.01)
    rows = tuple(replace(row, candidate=replace(row.candidate, seconds=None)) for row in made.rows)
    decision = gate(
        replace(made, rows=rows), figured_policy(**LENIENT, budgets={"mean_seconds": 5})
    )
    assert decision.exit_code == 4
    assert "unknown (not measured" in decision.sentence


def test_a_judge_that_fails_its_controls_proves_nothing() -> None:
    unreliable = (JudgeControls("token_f1", ("it prefers the first answer",)),)
    made = figured([(0.5, 0.9)] * 60, low=0.01, judges=unreliable)
    for keys in ({}, LENIENT):
        decision = gate(made, figured_policy(**keys))
        assert decision.exit_code == 4
        assert decision.sentence == (
            "INCONCLUSIVE: the judge of token F1 must pass its controls: not held (it prefers the"
            " first answer)"
        )
    assert gate(made, figured_policy(judge_controls=False)).passed


def test_the_first_version_is_decided_by_floors() -> None:
    worse = figured([(1.0, 0.95)] * 80, low=-0.2)
    demands = (NO_LOSS, FLOOR)
    first = gate(worse, figured_policy(*demands), first=True)
    assert first.passed
    assert [check.must for check in first.checks] == ["at_least"]
    assert gate(worse, figured_policy(*demands)).exit_code == 3, "there is a champion"
    assert gate(worse, figured_policy(NO_LOSS), first=True).exit_code == 3, "no floor: the base"
    low = figured([(1.0, 0.3)] * 80, low=-0.2)
    assert gate(low, figured_policy(*demands), first=True).exit_code == 3
    allowed = gate(low, figured_policy(*demands, first_version="allow"), first=True)
    assert (allowed.passed, allowed.exit_code) == (True, 0)
    assert allowed.sentence.startswith(
        "PASSED WITHOUT PROOF (gate.first_version is allow; 2 of 2 requirements not shown): "
    )
    assert gate(low, figured_policy(*demands, first_version="allow")).exit_code == 3


def test_intervals_with_less_confidence_than_the_policy_demands_are_refused() -> None:
    made = figured([(0.5, 0.9)] * 60, low=0.01)
    with pytest.raises(UsageError, match=r"has 95% intervals; gate.alpha 0.01 needs 99%"):
        gate(made, figured_policy(alpha=0.01))
    assert gate(made, figured_policy(alpha=0.1)).passed


@pytest.mark.parametrize("first", [True, False])
def test_recorded_figures_decide_as_the_first_ones_did(first: bool) -> None:
    made = figured([(0.4, 0.95), (0.5, 0.6)] * 40, topics=("billing", "other"), low=-0.06)
    keys: dict[str, Any] = {"budgets": {"mean_tokens": 25}, **LENIENT}
    decision = gate(made, figured_policy(NO_LOSS, FLOOR, BILLING, **keys), first=first)
    evidence = schema.read(json.loads(json.dumps(decision.evidence)), "here")
    again = decide(evidence.metrics, evidence.policy, same_bytes=False, figures=evidence.figures)
    assert again == (decision.checks, decision.verdict, decision.passed)
    assert again == (evidence.checks, evidence.verdict, evidence.passed)
