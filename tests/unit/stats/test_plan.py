from __future__ import annotations

import numpy as np
import pytest

from llmops.stats import blocks, seed_of


def test_every_prompt_comes_once_in_blocks_of_one_size() -> None:
    found = blocks(103, 25, 1)
    assert [block.size for block in found] == [25, 25, 25, 25, 3]
    assert sorted(np.concatenate(found)) == list(range(103))


def test_clusters_stay_whole() -> None:
    names = [f"c{i % 17}" for i in range(200)]
    found = blocks(200, 25, 2, names)
    assert sorted(np.concatenate(found)) == list(range(200))
    seen = [{names[i] for i in block} for block in found]
    assert sum(len(block) for block in seen) == 17
    assert all(25 <= block.size < 25 + 12 for block in found[:-1])


def test_the_order_is_random_and_repeatable() -> None:
    first, again, other = (np.concatenate(blocks(50, 10, seed)) for seed in (1, 1, 2))
    assert list(first) == list(again) != list(other)
    assert list(first) != sorted(first)
    starts = [int(blocks(4, 4, seed)[0][0]) for seed in range(400)]
    assert all(60 < starts.count(i) < 140 for i in range(4))


def test_a_seed_depends_on_every_part() -> None:
    assert (
        seed_of("suite", "v1", "v2") == seed_of("suite", "v1", "v2") != seed_of("suite", "v2", "v1")
    )
    assert seed_of("ab", "c") != seed_of("a", "bc")


def test_nothing_to_ask() -> None:
    assert blocks(0, 10, 1) == []
    assert blocks(0, 10, 1, []) == []


def test_misuse_is_refused() -> None:
    with pytest.raises(ValueError, match="size"):
        blocks(3, 0, 1)
    with pytest.raises(ValueError, match="2 cluster names for 3 prompts"):
        blocks(3, 1, 1, ["a", "b"])
