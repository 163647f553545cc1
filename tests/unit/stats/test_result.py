"""One p-value of a sequential comparison, from what decided it."""

from __future__ import annotations

import pytest

from llmops.records import Verdict
from llmops.stats.result import Method, SequentialResult


def result(method: Method = "hybrid", **changes: float | None) -> SequentialResult:
    figures: dict[str, float | None] = {
        "e_value": None,
        "e_needed": None,
        "p_value": None,
        "p_needed": None,
    }
    return SequentialResult(
        verdict=Verdict.INCONCLUSIVE,
        passed=None,
        decided_by=None,
        method=method,
        alpha=0.05,
        n=100,
        units=100,
        looks=4,
        wins=30,
        ties=50,
        losses=20,
        difference=0.1,
        low=-0.01,
        high=0.2,
        bar=0.0,
        **(figures | changes),  # type: ignore[arg-type]
    )


def test_an_e_value_counts_by_its_share_of_alpha() -> None:
    # A fifth of 0.05 needs e = 100; at exactly that evidence p is exactly alpha.
    assert result(e_value=100.0, e_needed=100.0).p_overall == pytest.approx(0.05)
    assert result(e_value=50.0, e_needed=100.0).p_overall == pytest.approx(0.1)


def test_a_p_value_counts_by_its_share_of_alpha() -> None:
    assert result(p_value=0.04, p_needed=0.04).p_overall == pytest.approx(0.05)
    assert result(p_value=0.02, p_needed=0.04).p_overall == pytest.approx(0.025)


def test_the_stronger_evidence_counts_and_none_is_one() -> None:
    both = result(e_value=200.0, e_needed=100.0, p_value=0.04, p_needed=0.04)
    assert both.p_overall == pytest.approx(0.025)
    assert result(p_value=0.04).p_overall == 1.0
    assert result(e_value=0.01, e_needed=100.0).p_overall == 1.0


def test_spent_alpha_gives_no_overall_p_value() -> None:
    assert result("obf", p_value=0.001, p_needed=0.05).p_overall is None
