"""The order in which a sequential comparison asks its prompts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def seed_of(*parts: str) -> int:
    """A seed that anyone can recompute from names and digests, so that no order can be chosen."""
    digest = hashlib.sha256("\n".join(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big")


def blocks(
    prompts: int, size: int, seed: int, clusters: Sequence[str] | None = None
) -> list[NDArray[np.intp]]:
    """All prompts in random order, cut into blocks that keep clusters whole.

    Args:
        prompts: How many there are.
        size: A block ends with the cluster that brings it to so many prompts.
        seed: Of the order; see ``seed_of``.
        clusters: Cluster of each prompt; prompts are independent if absent.

    Returns:
        Indices of prompts, one array for each block.

    Raises:
        ValueError: A size below 1, or as many cluster names as prompts are not given.
    """
    if size < 1:
        raise ValueError(f"size: expected at least 1, received {size}")
    if clusters is not None and len(clusters) != prompts:
        raise ValueError(f"{len(clusters)} cluster names for {prompts} prompts")
    found: list[NDArray[np.intp]] = []
    block: list[NDArray[np.intp]] = []
    held = 0
    for members in _shuffled(prompts, seed, clusters):
        block.append(members)
        held += members.size
        if held >= size:
            found.append(np.concatenate(block))
            block, held = [], 0
    return [*found, np.concatenate(block)] if block else found


def _shuffled(prompts: int, seed: int, clusters: Sequence[str] | None) -> list[NDArray[np.intp]]:
    names = np.arange(prompts) if clusters is None else np.asarray(clusters, dtype=str)
    _, index = np.unique(names, return_inverse=True)
    members = np.split(np.argsort(index, kind="stable"), np.cumsum(np.bincount(index))[:-1])
    order = np.random.default_rng(seed).permutation(len(members))
    return [members[i] for i in order if members[i].size]
