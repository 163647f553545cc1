"""Floors under the candidate's own mean."""

from __future__ import annotations

import pytest
from policy_figures import FLOOR, policy

from llmops.gate.requirements.floors import check, mean_for
from llmops.records import Figures, OwnMean

(REQUIRED,) = policy(FLOOR).require


def figures(low: float, high: float, n: int = 60, *, whole: bool = True) -> Figures:
    mean = OwnMean("one_line", None, (low + high) / 2, low, high, n, n, 0.95)
    return Figures(means=(mean,), whole=whole)


@pytest.mark.parametrize(
    ("low", "high", "passed"),
    [
        (0.81, 0.9, True),
        (0.8, 0.9, True),
        (0.79, 0.9, None),
        (0.7, 0.8, None),  # a mean of exactly the floor is still possible
        (0.7, 0.79, False),
    ],
)
def test_the_whole_interval_must_reach_the_floor(
    low: float, high: float, passed: bool | None
) -> None:
    found = check(REQUIRED, figures(low, high), fewest=50)
    assert found.passed is passed
    assert (found.must, found.value) == ("at_least", 0.8)
    assert found.observed == pytest.approx((low + high) / 2)
    assert found.reason == f"95% CI {low:.3f} to {high:.3f}, 60 prompts"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (figures(0.9, 0.95, n=49), "49 prompts count, gate.min_prompts is 50"),
        (figures(0.9, 0.95, whole=False), "the comparison stopped before every prompt"),
        (Figures(), "no row of the suite concerns it"),
    ],
)
def test_without_a_basis_nothing_is_decided(given: Figures, reason: str) -> None:
    found = check(REQUIRED, given, fewest=50)
    assert (found.passed, found.reason) == (None, reason)


def test_each_floor_reads_its_own_mean() -> None:
    assert mean_for(REQUIRED, figures(0.1, 0.2)) is not None
    (sliced,) = policy({**FLOOR, "slice": {"topic": "billing"}}).require
    assert mean_for(sliced, figures(0.1, 0.2)) is None
