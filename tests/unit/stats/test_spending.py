from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from llmops.stats.spending import Boundary, Spending, p_over_looks, spent


def test_five_looks_are_the_published_boundary() -> None:
    # Tabulated for Lan-DeMets O'Brien-Fleming spending at one-sided .025, such as by R's gsDesign.
    boundary = Boundary(0.025, "obf")
    found = [float(stats.norm.isf(boundary.level(k / 5))) for k in range(1, 6)]
    assert found == pytest.approx([4.877, 3.357, 2.680, 2.290, 2.031], abs=1e-3)


def test_one_look_has_the_whole_level() -> None:
    assert Boundary(0.05, "obf").level(1.0) == pytest.approx(0.05, abs=1e-9)


@pytest.mark.parametrize("looks", [3, 40])
def test_random_walks_cross_as_often_as_promised(looks: int) -> None:
    boundary, steps = Boundary(0.05, "obf"), np.full(looks, 1 / looks)
    times = np.cumsum(steps)
    times[-1] = 1.0
    heights = [stats.norm.isf(boundary.level(t)) * math.sqrt(t) for t in times]
    walks = np.random.default_rng(1).normal(0, np.sqrt(steps), (20_000, looks)).cumsum(axis=1)
    crossed = (walks >= heights).any(axis=1).mean()
    assert crossed == pytest.approx(0.05, abs=3 * math.sqrt(0.05 * 0.95 / 20_000))


def test_uneven_times_spend_the_same_in_all() -> None:
    boundary = Boundary(0.05, "obf")
    times, rng = [0.13, 0.2, 0.61, 0.64, 1.0], np.random.default_rng(2)
    heights = [stats.norm.isf(boundary.level(t)) * math.sqrt(t) for t in times]
    steps = np.sqrt(np.diff([0.0, *times]))
    walks = (rng.normal(0, 1, (20_000, 5)) * steps).cumsum(axis=1)
    assert (walks >= heights).any(axis=1).mean() == pytest.approx(0.05, abs=0.005)


def test_early_looks_spend_next_to_nothing() -> None:
    assert Boundary(0.05, "obf").level(0.01) == 0.0
    assert spent(0.05, 0.1, "obf") < 1e-8
    assert spent(0.05, 1.0, "obf") == pytest.approx(0.05)


def test_time_does_not_go_back() -> None:
    boundary = Boundary(0.05, "obf")
    boundary.level(0.5)
    for time in (0.5, 0.3, 1.1):
        with pytest.raises(ValueError, match="time"):
            boundary.level(time)


@pytest.mark.parametrize("spending", ["power", "obf"])
def test_the_p_value_over_looks_is_alpha_at_the_boundary(spending: Spending) -> None:
    times = (0.2, 0.4, 0.6, 0.8, 1.0)
    boundary = Boundary(0.025, spending)
    levels = [boundary.level(time) for time in times]
    for looks in (2, 3, 5):
        p = p_over_looks(levels[looks - 1], times[:looks], spending)
        assert p == pytest.approx(0.025, rel=1e-3)
        assert p_over_looks(levels[looks - 1] / 2, times[:looks], spending) < 0.025
        assert p_over_looks(levels[looks - 1] * 2, times[:looks], spending) > 0.025


def test_the_p_value_over_one_look_is_its_own() -> None:
    assert p_over_looks(0.013, [1.0], "power") == pytest.approx(0.013, rel=1e-3)
    assert p_over_looks(0.7, [1.0], "power") == 1.0
    assert p_over_looks(1e-12, [1.0], "power") == 1e-9


def test_power_spending_spends_early_and_everything_at_the_end() -> None:
    assert spent(0.025, 0.5, "power") > 2 * spent(0.025, 0.5, "obf") > 0
    assert spent(0.025, 1.0, "power") == pytest.approx(0.025)
