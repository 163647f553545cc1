from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from llmops.stats.spending import OBrienFleming, spent


def test_five_looks_are_the_published_boundary() -> None:
    # Tabulated for Lan-DeMets O'Brien-Fleming spending at one-sided .025, such as by R's gsDesign.
    boundary = OBrienFleming(0.025)
    found = [float(stats.norm.isf(boundary.level(k / 5))) for k in range(1, 6)]
    assert found == pytest.approx([4.877, 3.357, 2.680, 2.290, 2.031], abs=1e-3)


def test_one_look_has_the_whole_level() -> None:
    assert OBrienFleming(0.05).level(1.0) == pytest.approx(0.05, abs=1e-9)


@pytest.mark.parametrize("looks", [3, 40])
def test_random_walks_cross_as_often_as_promised(looks: int) -> None:
    boundary, steps = OBrienFleming(0.05), np.full(looks, 1 / looks)
    times = np.cumsum(steps)
    times[-1] = 1.0
    heights = [stats.norm.isf(boundary.level(t)) * math.sqrt(t) for t in times]
    walks = np.random.default_rng(1).normal(0, np.sqrt(steps), (20_000, looks)).cumsum(axis=1)
    crossed = (walks >= heights).any(axis=1).mean()
    assert crossed == pytest.approx(0.05, abs=3 * math.sqrt(0.05 * 0.95 / 20_000))


def test_uneven_times_spend_the_same_in_all() -> None:
    boundary = OBrienFleming(0.05)
    times, rng = [0.13, 0.2, 0.61, 0.64, 1.0], np.random.default_rng(2)
    heights = [stats.norm.isf(boundary.level(t)) * math.sqrt(t) for t in times]
    steps = np.sqrt(np.diff([0.0, *times]))
    walks = (rng.normal(0, 1, (20_000, 5)) * steps).cumsum(axis=1)
    assert (walks >= heights).any(axis=1).mean() == pytest.approx(0.05, abs=0.005)


def test_early_looks_spend_next_to_nothing() -> None:
    assert OBrienFleming(0.05).level(0.01) == 0.0
    assert spent(0.05, 0.1) < 1e-8
    assert spent(0.05, 1.0) == pytest.approx(0.05)


def test_time_does_not_go_back() -> None:
    boundary = OBrienFleming(0.05)
    boundary.level(0.5)
    for time in (0.5, 0.3, 1.1):
        with pytest.raises(ValueError, match="time"):
            boundary.level(time)
