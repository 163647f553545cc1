"""The random order of prompts in a sequential comparison, cut into blocks."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def seed_of(*parts: str) -> int:
    """Return a seed that anyone can recompute, so that nobody can pick a favourable order.

    Args:
        parts: Names and digests of what is compared.

    Returns:
        The first 64 bits of their SHA-256, an integer from 0 to 2^64 - 1.

    Example:
        from llmops.stats import seed_of

        assert seed_of("baseline", "candidate") == seed_of("baseline", "candidate")
        assert seed_of("baseline", "candidate") != seed_of("candidate", "baseline")
    """
    digest = hashlib.sha256("\n".join(parts).encode()).digest()
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
    if size < 1:
        raise ValueError(f"size: expected at least 1, received {size}")
    if clusters is not None and len(clusters) != prompts:
        raise ValueError(f"{len(clusters)} cluster names for {prompts} prompts")
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


def _shuffled(prompts: int, seed: int, clusters: Sequence[str] | None) -> list[NDArray[np.intp]]:
    names = np.arange(prompts) if clusters is None else np.asarray(clusters, dtype=str)
    _, index = np.unique(names, return_inverse=True)
    members = np.split(np.argsort(index, kind="stable"), np.cumsum(np.bincount(index))[:-1])
    order = np.random.default_rng(seed).permutation(len(members))
    return [members[i] for i in order if members[i].size]
