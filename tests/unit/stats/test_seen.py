"""The observations of a sequential comparison so far."""

from __future__ import annotations

import numpy as np
import pytest

from llmops.stats.seen import Seen
from llmops.stats.units import units_of


def test_a_cluster_in_several_blocks_is_one_unit() -> None:
    seen = Seen(1, whole=False)
    seen.add([0.5, 0.1], ["a", "b"], [0.9, 0.4])
    seen.add([0.3, -0.2], ["b", "a"], [0.6, 0.2])
    expected = units_of([0.5, 0.1, 0.3, -0.2], ["a", "b", "b", "a"], [0.9, 0.4, 0.6, 0.2])
    for field in ("sums", "sizes", "falls", "rises"):
        np.testing.assert_allclose(getattr(seen.units(), field), getattr(expected, field))
    assert (seen.n, seen.signs) == (4, (1, 0, 3))


def test_whole_clusters_must_come_in_one_block_of_their_size() -> None:
    seen = Seen(2, whole=True)
    seen.add([0.5, 0.1], ["a", "a"], None)
    with pytest.raises(ValueError, match="'a' is in two blocks"):
        seen.add([0.5], ["a"], None)
    with pytest.raises(ValueError, match="largest_cluster is 2"):
        seen.add([0.5] * 3, ["b"] * 3, None)
    assert (seen.n, seen.block_ends().tolist()) == (2, [1])


def test_an_empty_block_adds_nothing() -> None:
    seen = Seen(1, whole=False)
    assert seen.add([], None, None).sums.size == 0
    assert seen.n == 0
