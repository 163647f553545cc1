"""Independent observations: single prompts, or clusters of prompts that depend on each other.

Scores lie in [0, 1], so a difference lies in [-1, 1]. A cluster enters every test as a whole, with
the sum of its differences and its size. The tested mean is therefore the one over prompts,
(sum of sums) / (sum of sizes), whether or not clusters have the same size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llmops.stats.clusters import indices

DIGITS = 12
"""Decimals of a rounded difference: 0.3 - 0.2 and 0.9 - 0.8 are equal, not 1e-16 apart."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Units:
    """Independent observations.

    Attributes:
        sums: Sum of differences of each unit, shape (G,).
        sizes: Number of prompts of each unit, shape (G,).
        falls: Decrease of each sum if the candidate failed on the whole unit, which is the sum of
            the candidate's scores, shape (G,).
        rises: Increase if the baseline failed, which is the sum of the baseline's scores, shape (G,).
    """

    sums: Floats
    sizes: Floats
    falls: Floats
    rises: Floats

    @property
    def means(self) -> Floats:
        """Mean difference of each unit, shape (G,)."""
        return np.round(self.sums / self.sizes, DIGITS)

    @property
    def mean(self) -> float:
        """Mean difference over prompts; NaN without prompts."""
        return float(self.sums.sum() / self.sizes.sum()) if self.sizes.size else float("nan")

    @property
    def mirrored(self) -> Units:
        """The same observations with the two sides swapped."""
        return Units(-self.sums, self.sizes, self.rises, self.falls)

    @property
    def are_prompts(self) -> bool:
        """Whether every unit is a single prompt."""
        return bool(np.all(self.sizes == 1))

    @property
    def are_ternary(self) -> bool:
        """Whether every unit is one win (+1), tie (0) or loss (-1)."""
        return self.are_prompts and bool(np.isin(self.sums, (-1.0, 0.0, 1.0)).all())


def units_of(
    differences: ArrayLike,
    clusters: Sequence[str] | None = None,
    candidate: ArrayLike | None = None,
) -> Units:
    """Group paired differences into independent units.

    Args:
        differences: Candidate minus baseline, in [-1, 1], shape (n,); n may be 0.
        clusters: Cluster name of each prompt, shape (n,); without it, prompts are independent.
        candidate: Scores of the candidate in [0, 1], shape (n,); those of the baseline follow.
            Without them, any difference is assumed to be possible, from -1 to 1.

    Raises:
        ValueError: The differences are not one-dimensional, a number is NaN or outside its
            range, or there is not one cluster name or score for each difference.
    """
    given = np.asarray(differences, dtype=np.float64)
    values = given.round(DIGITS)
    if values.ndim != 1:
        raise ValueError("differences: expected one dimension")
    if not np.all((values >= -1) & (values <= 1)):  # NaN fails too
        raise ValueError("differences: expected numbers in [-1, 1]")
    falls, rises = values + 1, 1 - values
    if candidate is not None:
        own = np.asarray(candidate, dtype=np.float64)
        falls = own.round(DIGITS)
        if falls.shape != values.shape or not np.all((falls >= 0) & (falls <= 1)):
            raise ValueError("candidate: expected one score in [0, 1] for each difference")
        rises = np.clip((own - given).round(DIGITS), 0.0, 1.0)
    sums, sizes = cluster_sums(values, clusters)
    return Units(sums, sizes, *(cluster_sums(room, clusters)[0] for room in (falls, rises)))


def joined(parts: Sequence[Units]) -> Units:
    """Return the units of several blocks as one."""
    columns = zip(*((u.sums, u.sizes, u.falls, u.rises) for u in parts), strict=True)
    return Units(*map(np.concatenate, columns)) if parts else Units(*(np.zeros(0),) * 4)


def cluster_sums(difference: Floats, clusters: Sequence[str] | None) -> tuple[Floats, Floats]:
    """Return the sum of differences and the number of prompts of each cluster, shapes (G,).

    Raises:
        ValueError: There is not one cluster name for each difference.
    """
    if clusters is None:
        return difference, np.ones_like(difference)
    if len(clusters) != difference.size:
        raise ValueError(f"{len(clusters)} cluster names for {difference.size} pairs")
    index = indices(clusters)
    sums: Floats = np.bincount(index, weights=difference).astype(np.float64)
    return sums, np.bincount(index).astype(np.float64)
