"""Several candidates: who is shown to beat the baseline, and all on one scale."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from report_records import comparison, metric, row, side

from llmops.compare import standings
from llmops.records import Comparison

RNG = random.Random(3)
BEFORE = [RNG.random() for _ in range(60)]


def against(label: str, gain: float, p_value: float, before: list[float] = BEFORE) -> Comparison:
    """A candidate that differs by this much from the baseline on average, prompt by prompt."""
    rng = random.Random(label)
    after = [min(1.0, max(0.0, score + gain + rng.uniform(-0.4, 0.4))) for score in before]
    rows = [
        row(i, "a", "b", scores, ["exact"])
        for i, scores in enumerate(zip(before, after, strict=True))
    ]
    result = metric("exact", -0.1, gain, 0.2, p_value=p_value)
    means = replace(result, baseline=0.5, candidate=0.5 + gain)
    return comparison([means], rows, candidate=side(label))


THREE = (against("v3", 0.2, 0.01), against("v4", -0.2, 0.02), against("v5", 0.0, 0.9))


def test_all_sides_are_ranked_by_the_first_metric_the_baseline_among_them() -> None:
    ranked = standings(THREE)
    assert [one.side.label for one in ranked][::3] == ["v3", "v4"]
    assert {one.side.label for one in ranked} == {"v2", "v3", "v4", "v5"}
    (base,) = (one for one in ranked if one.result is None)
    assert (base.side.label, base.score, base.p_holm) == ("v2", 0.5, None)


def test_p_values_are_holms_over_the_candidates() -> None:
    adjusted = {one.side.label: one.p_holm for one in standings(THREE)}
    assert adjusted == {"v2": None, "v3": pytest.approx(0.03), "v4": pytest.approx(0.04), "v5": 0.9}


def test_a_comparison_without_a_p_value_claims_nothing() -> None:
    found = standings([against("v3", 0.2, math.nan), THREE[1]])
    assert {one.side.label: one.p_holm for one in found}["v3"] == 1.0


def test_strengths_are_on_one_scale_and_in_the_order_of_wins() -> None:
    strength = {one.side.label: one.strength for one in standings(THREE)}
    assert all(strength.values())
    values = {label: found[0] for label, found in strength.items() if found}
    assert values["v3"] > values["v2"] > values["v4"]
    assert sum(values.values()) == pytest.approx(0.0, abs=1e-6)
    assert all(found[1] > 0 for found in strength.values() if found)


def test_prompts_of_one_cluster_count_once() -> None:
    def clustered(found: Comparison, repeats: int) -> Comparison:
        rows = [
            replace(one, example=replace(one.example, id=f"q{i}-{j}", cluster=f"c{i}"))
            for i, one in enumerate(found.rows)
            for j in range(repeats)
        ]
        return replace(found, rows=tuple(rows))

    once, twice = (
        {one.side.label: one.strength for one in standings([clustered(c, n) for c in THREE])}
        for n in (1, 4)
    )
    for label, found in once.items():
        assert twice[label] == pytest.approx(found), "four copies of a prompt add no information"


def test_there_is_no_scale_where_the_baseline_has_two_scores_or_one_side_never_wins() -> None:
    judged = against("v4", -0.2, 0.02, before=[1 - score for score in BEFORE])
    assert all(one.strength is None for one in standings([THREE[0], judged]))
    rows = [row(i, "a", "b", (0.0, 1.0), ["exact"]) for i in range(9)]
    always = comparison([metric("exact", 0.9, 1.0, 1.0)], rows)
    assert all(one.strength is None for one in standings([always]))
