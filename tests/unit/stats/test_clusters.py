from __future__ import annotations

import tracemalloc

import pytest

from llmops.stats.clusters import indices, worth
from llmops.stats.plan import blocks, spread_blocks
from llmops.stats.sequential import SequentialTest
from llmops.stats.units import units_of


def test_equal_clusters_count_as_they_are() -> None:
    assert worth([4, 4, 4]) == 3.0
    assert worth([1] * 50) == 50.0
    assert worth([7, 0, 7]) == 2.0


def test_a_large_cluster_outweighs_the_small_ones() -> None:
    assert worth([40, *[1] * 40]) == pytest.approx(80**2 / (1600 + 40))
    assert worth([1_000, 1]) == pytest.approx(1, abs=0.01)


def test_names_are_numbered_in_their_order() -> None:
    assert indices(["b", "a", "b", "\U0001f600", "a"]).tolist() == [1, 0, 1, 2, 0]
    assert indices([]).tolist() == []


def test_names_that_differ_in_a_final_nul_are_two_clusters() -> None:
    names = ["a", "a\0", "a", "b"]
    assert units_of([0.1, 0.2, 0.3, 0.0], names).sizes.tolist() == [2, 1, 1]
    assert sorted(map(len, blocks(4, 1, 0, names))) == [1, 1, 2]
    test = SequentialTest("improve", 0.0, cap=8, method="hybrid", largest_cluster=2)
    assert not test.update([0.1, 0.2, 0.3, 0.0], names)


def test_a_long_name_costs_its_length_once() -> None:
    names = [f"c{i}" for i in range(400)]
    names[5] = "x" * 100_000
    tracemalloc.start()
    units_of([0.0] * 400, names)
    spread_blocks(400, 32, 0, names)
    SequentialTest("improve", 0.0, cap=800).update([0.0] * 400, names)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 5e6  # an array of texts would take 160 MB
