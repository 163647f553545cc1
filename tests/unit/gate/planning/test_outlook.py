"""What a suite can decide, against the power of the test itself and against drawn data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from report_records import comparison, metric, row, side

from llmops.gate.planning.outlook import outlook
from llmops.records import Check, Comparison, MetricResult, Row, Verdict
from llmops.stats import paired_test

OPEN = Check("token_f1", "not_regress", 0.05, Verdict.INCONCLUSIVE, passed=None)
SPREAD = 0.2


def compared(results: list[MetricResult], rows: list[Row]) -> Comparison:
    other = replace(side("v3"), adapter_digest="12" * 32)
    return comparison(results, rows, available=len(rows), candidate=other)


def drawn(count: int, shift: float = 0.0, seed: int = 0, clusters: int = 0) -> Comparison:
    """A comparison of scores around one half, with a spread of ``SPREAD`` between the sides."""
    rng = np.random.default_rng(seed)
    old = rng.uniform(0.3, 0.7, count)
    own = rng.normal(0.0, SPREAD, clusters or count)
    apart = own[np.arange(count) % (clusters or count)] + shift
    new = np.clip(old + apart, 0, 1)
    names = [f"c{i % (clusters or count)}" for i in range(count)]
    rows = [
        row(i, "a", "b", (float(before), float(after)), cluster=names[i])
        for i, (before, after) in enumerate(zip(old, new, strict=True))
    ]
    test = paired_test(old.tolist(), new.tolist(), names)
    result = replace(metric("token_f1", -0.1, 0.0, 0.1), test=test)
    return compared([result], rows)


def passes(count: int, runs: int = 300) -> float:
    """Share of A/A comparisons whose interval stays above the margin."""
    lows = [drawn(count, seed=seed).metrics[0].test.low for seed in range(runs)]
    return float(np.mean([low > -OPEN.margin for low in lows]))


def test_the_flip_rate_is_that_of_real_comparisons_of_equal_versions() -> None:
    found = outlook(drawn(100, seed=9_999), [OPEN])
    assert found is not None
    assert found.equal_fail == pytest.approx(1 - passes(100), abs=0.15)
    more = outlook(drawn(400, seed=9_999), [OPEN])
    assert more is not None
    assert more.equal_fail < found.equal_fail - 0.2


def test_several_requirements_add_up_and_a_demanded_gain_is_told() -> None:
    found, one = drawn(100), outlook(drawn(100), [OPEN])
    two = outlook(found, [OPEN, OPEN])
    assert one is not None
    assert two is not None
    assert two.equal_fail == pytest.approx(min(1.0, 2 * one.equal_fail))
    gain = outlook(found, [replace(OPEN, must="improve", margin=0.0)])
    assert gain is not None
    assert gain.demands_gain
    assert gain.equal_fail == pytest.approx(0.975)


def test_the_number_of_prompts_that_would_decide_does_decide() -> None:
    found = outlook(drawn(60, shift=0.03, seed=3), [OPEN])
    assert found is not None
    assert found.prompts is not None
    assert found.asked == 60
    seen = drawn(60, shift=0.03, seed=3).metrics[0].test.difference
    settled = [
        drawn(found.prompts, shift=seen, seed=seed).metrics[0].test.low > -OPEN.margin
        for seed in range(100)
    ]
    assert 0.6 <= np.mean(settled) <= 1.0


def test_a_loss_beyond_the_margin_is_decided_as_a_rejection() -> None:
    found = outlook(drawn(20, shift=-0.1, seed=4), [OPEN])
    assert found is not None
    assert found.prompts is not None
    assert 20 <= found.prompts < 1_000


def test_clusters_cost_prompts() -> None:
    alone = outlook(drawn(120, seed=5), [OPEN])
    grouped = outlook(drawn(120, seed=5, clusters=20), [OPEN])
    assert alone is not None
    assert grouped is not None
    assert grouped.equal_fail > alone.equal_fail


def test_what_has_no_answer_gets_none() -> None:
    found = drawn(40)
    assert outlook(found, []) is None
    assert outlook(found, [replace(OPEN, must="at_least")]) is None
    assert outlook(replace(found, candidate=found.baseline), [OPEN]) is None
    decided = outlook(found, [replace(OPEN, passed=True)])
    assert decided is not None
    assert decided.prompts is None
    far = replace(found.metrics[0].test, difference=-0.04)
    long = outlook(replace(found, metrics=(replace(found.metrics[0], test=far),)), [OPEN])
    assert long is not None
    assert long.prompts == pytest.approx((2.8 * SPREAD / 0.01) ** 2, rel=0.3), "by the formula"
    on_the_bar = replace(found.metrics[0].test, difference=-0.05)
    edge = outlook(replace(found, metrics=(replace(found.metrics[0], test=on_the_bar),)), [OPEN])
    assert edge is not None
    assert edge.prompts is None


def test_equal_answers_everywhere_are_no_error() -> None:
    rows = [row(i, "a", "a", (0.5, 0.5)) for i in range(30)]
    test = paired_test([0.5] * 30, [0.5] * 30)
    result = replace(metric("token_f1", 0, 0, 0), test=test)
    found = outlook(compared([result], rows), [OPEN])
    assert found is not None
    assert 0 <= found.equal_fail <= 1


def test_a_protected_slice_is_planned_on_its_own_rows() -> None:
    """A slice of every fourth prompt needs four times the suite; rows outside it do not count."""
    made = drawn(200)
    rows = [
        replace(one, example=replace(one.example, slices={"topic": "a" if i % 4 == 0 else "b"}))
        for i, one in enumerate(made.rows)
    ]
    calm = [  # outside the slice both sides score the same
        one
        if one.example.slices["topic"] == "a"
        else replace(one, candidate_scores=one.baseline_scores)
        for one in rows
    ]
    check = replace(OPEN, slice=("topic", "a"), margin=0.2)
    found = outlook(replace(made, rows=tuple(rows)), [check])
    assert found == outlook(replace(made, rows=tuple(calm)), [check])
    alone = outlook(compared(list(made.metrics), rows[::4]), [replace(check, slice=None)])
    assert found is not None
    assert alone is not None
    assert found.equal_fail == pytest.approx(alone.equal_fail, abs=0.1)
    assert found.prompts == pytest.approx(4 * alone.prompts, rel=0.1)
    assert outlook(made, [replace(check, slice=("topic", "none"))]) is None
