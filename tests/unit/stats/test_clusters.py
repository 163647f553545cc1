from __future__ import annotations

import pytest

from llmops.stats.clusters import worth


def test_equal_clusters_count_as_they_are() -> None:
    assert worth([4, 4, 4]) == 3.0
    assert worth([1] * 50) == 50.0
    assert worth([7, 0, 7]) == 2.0


def test_a_large_cluster_outweighs_the_small_ones() -> None:
    assert worth([40, *[1] * 40]) == pytest.approx(80**2 / (1600 + 40))
    assert worth([1_000, 1]) == pytest.approx(1, abs=0.01)
