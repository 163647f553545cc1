from __future__ import annotations

import numpy as np
import pytest

from llmops.stats import blocks, seed_of, spread_blocks


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
        seed_of("suite", "v1", "v2") == seed_of("suite", "v2", "v1") != seed_of("suite", "v1", "v3")
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


def test_spread_blocks_ask_every_prompt_once_in_full_blocks() -> None:
    names = [f"c{i % 7}" for i in range(103)]
    found = spread_blocks(103, 25, 1, names)
    assert [block.size for block in found] == [25, 25, 25, 25, 3]
    assert sorted(np.concatenate(found)) == list(range(103))


def test_spread_blocks_ask_every_cluster_in_proportion() -> None:
    names = np.repeat([f"c{i}" for i in range(30)], [40] + [10] * 20 + [1] * 9)
    order = np.concatenate(spread_blocks(names.size, 32, 5, names.tolist()))
    for share in (0.25, 0.5, 0.75):
        seen = names[order[: int(share * names.size)]]
        for cluster, size in (("c0", 40), ("c7", 10)):
            assert abs(int((seen == cluster).sum()) - share * size) <= 2


def test_spread_blocks_depend_on_the_seed_within_and_between_clusters() -> None:
    names = ["a"] * 4 + ["b"] * 4
    orders = {tuple(np.concatenate(spread_blocks(8, 8, seed, names))) for seed in range(200)}
    assert len(orders) > 150
    firsts = [int(spread_blocks(8, 8, seed, names)[0][0]) for seed in range(400)]
    assert min(np.bincount(firsts, minlength=8)) > 25


def test_spread_blocks_refuse_what_is_not_a_plan() -> None:
    with pytest.raises(ValueError, match="size"):
        spread_blocks(3, 0, 1)
    with pytest.raises(ValueError, match="2 cluster names for 3 prompts"):
        spread_blocks(3, 1, 1, ["a", "b"])
