"""The random order of prompts in a sequential comparison, cut into blocks.

``blocks`` keeps clusters whole, for the e-process, whose unit is the cluster. ``spread_blocks`` asks
every cluster a little at a time: after a share t of the suite, each cluster has given about the share
t of its prompts. Several clusters then say more than the same number of prompts from few of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from llmops.stats.clusters import indices


def seed_of(*parts: str) -> int:
    """Return a seed that anyone can recompute, so that nobody can pick a favourable order.

    Args:
        parts: Names and digests of what is compared, in any order: swapped sides must meet the
            same prompts in the same order.

    Returns:
        The first 64 bits of their SHA-256, an integer from 0 to 2^64 - 1.

    Example:
        from llmops.stats import seed_of

        assert seed_of("baseline", "candidate") == seed_of("candidate", "baseline")
        assert seed_of("baseline", "candidate") != seed_of("baseline", "other")
    """
    digest = hashlib.sha256("\n".join(sorted(parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big")


def blocks(
    prompts: int, size: int, seed: int, clusters: Sequence[str] | None = None
) -> list[NDArray[np.intp]]:
    """Return all prompts in random order, cut into blocks that keep clusters whole.

    Args:
        prompts: Number of prompts.
        size: Prompts per block; a block ends with the cluster that brings it to this number.
        seed: Seed of the order; see ``seed_of``.
        clusters: Cluster name of each prompt, length ``prompts``; without it, prompts are
            independent.

    Returns:
        Indices of prompts, one array for each block; together each prompt once.

    Raises:
        ValueError: The size is below 1, or there is not one cluster name for each prompt.

    Example:
        from llmops.stats import blocks

        order = blocks(6, size=2, seed=7, clusters=["a", "a", "b", "b", "c", "c"])
        assert [block.tolist() for block in order] == [[0, 1], [4, 5], [2, 3]]
    """
    _check(prompts, size, clusters)
    finished: list[NDArray[np.intp]] = []
    block: list[NDArray[np.intp]] = []
    held = 0
    for members in _shuffled(prompts, seed, clusters):
        block.append(members)
        held += members.size
        if held >= size:
            finished.append(np.concatenate(block))
            block, held = [], 0
    return [*finished, np.concatenate(block)] if block else finished


def spread_blocks(
    prompts: int, size: int, seed: int, clusters: Sequence[str] | None = None
) -> list[NDArray[np.intp]]:
    """Return all prompts in random order, spread over the clusters and cut into blocks.

    Prompt j (from 0, at random within its cluster) of a cluster of n gets the key (j + u) / n, with
    one uniform u for each cluster; prompts are asked in the order of their keys.

    Args:
        prompts: See ``blocks``.
        size: Prompts per block; the last block may have fewer.
        seed: See ``blocks``.
        clusters: See ``blocks``.

    Returns:
        Indices of prompts, as ``blocks`` returns them.

    Raises:
        ValueError: See ``blocks``.

    Example:
        from llmops.stats import spread_blocks

        order = spread_blocks(6, size=2, seed=7, clusters=["a", "a", "a", "b", "b", "b"])
        names = ["aaabbb"[i] for block in order for i in block]
        assert names in ([*"ababab"], [*"bababa"])
    """
    _check(prompts, size, clusters)
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(prompts)
    index = (np.arange(prompts) if clusters is None else indices(clusters))[shuffled]
    sizes = np.bincount(index)
    by_cluster = np.argsort(index, kind="stable")
    place = np.empty(prompts)
    place[by_cluster] = np.concatenate([np.arange(n) for n in sizes]) if prompts else []
    keys = (place + rng.random(sizes.size)[index]) / sizes[index]
    order = shuffled[np.argsort(keys, kind="stable")]
    return [order[start : start + size] for start in range(0, prompts, size)]


def _check(prompts: int, size: int, clusters: Sequence[str] | None) -> None:
    if size < 1:
        raise ValueError(f"size: expected at least 1, received {size}")
    if clusters is not None and len(clusters) != prompts:
        raise ValueError(f"{len(clusters)} cluster names for {prompts} prompts")


def _shuffled(prompts: int, seed: int, clusters: Sequence[str] | None) -> list[NDArray[np.intp]]:
    index = np.arange(prompts) if clusters is None else indices(clusters)
    members = np.split(np.argsort(index, kind="stable"), np.cumsum(np.bincount(index))[:-1])
    order = np.random.default_rng(seed).permutation(len(members))
    return [members[i] for i in order if members[i].size]
