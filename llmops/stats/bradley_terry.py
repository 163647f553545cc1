"""One ranking scale for more than two versions: strengths from pairwise wins.

Version i beats j with probability 1 / (1 + exp(s_j - s_i)), where s are the strengths (Bradley &
Terry 1952, Biometrika 39(3/4), 324-345). A tie counts as half a win for each. Hunter's iteration
(2004, Ann. Statist. 32(1), 384-406) finds the maximum likelihood. It exists only if no group of
versions won, or lost, every comparison with the others (Ford 1957, Amer. Math. Monthly 64(8),
28-33). Strengths sum to 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from llmops.errors import DataError
from llmops.stats.units import Floats

TOLERANCE = 1e-12
"""Largest change of a log strength at which the iteration ends."""
MOST_ITERATIONS = 100_000


@dataclass(frozen=True)
class Strengths:
    """Strengths of k versions on one scale, strongest first.

    Attributes:
        names: Names of the versions, length k.
        strengths: Log odds against the mean of all versions, shape (k,); their sum is 0.
        errors: Standard errors of the strengths, shape (k,); valid if comparisons are
            independent.
        covariance: Covariance matrix of the strengths, shape (k, k), rank k - 1.

    Example:
        from llmops.stats import bradley_terry

        strengths = bradley_terry(["v1", "v2"], wins=[[0, 20], [60, 0]])
        assert strengths.names == ("v2", "v1")
        assert round(strengths.chance("v2", "v1"), 2) == 0.75
    """

    names: tuple[str, ...]
    strengths: Floats
    errors: Floats
    covariance: Floats

    def chance(self, one: str, other: str) -> float:
        """Return the probability that version ``one`` beats version ``other``.

        Raises:
            ValueError: One of the names was not compared.
        """
        gap = self.strengths[self.names.index(one)] - self.strengths[self.names.index(other)]
        return float(1 / (1 + np.exp(-gap)))

    def error_of_gap(self, one: str, other: str) -> float:
        """Return the standard error of the difference of two strengths, covariance included.

        Raises:
            ValueError: One of the names was not compared.
        """
        i, j = self.names.index(one), self.names.index(other)
        c = self.covariance
        return float(np.sqrt(c[i, i] + c[j, j] - 2 * c[i, j]))


def bradley_terry(
    names: Sequence[str], wins: ArrayLike, ties: ArrayLike | None = None
) -> Strengths:
    """Estimate the strengths of versions that were compared in pairs.

    Args:
        names: Names of the k versions, at least two, all different.
        wins: ``wins[i, j]`` is how often i beat j, shape (k, k), diagonal 0.
        ties: ``ties[i, j]`` is how often they tied, symmetric, shape (k, k); without it, no ties.

    Returns:
        Strengths with standard errors, strongest version first.

    Raises:
        DataError: Two groups have no common scale: one never lost to the other, or they were
            never compared; or the iteration does not converge.
        ValueError: A shape, sign or symmetry is wrong, or a name occurs twice.

    Example:
        from llmops.stats import bradley_terry

        wins = [[0, 20, 10], [40, 0, 30], [50, 30, 0]]
        strengths = bradley_terry(["v1", "v2", "v3"], wins)
        assert strengths.names == ("v3", "v2", "v1")
        assert abs(strengths.strengths.sum()) < 1e-9
    """
    scores = _scores(names, wins, ties)
    _check_connected(names, scores)
    strengths = _fit(scores)
    covariance = _covariance(scores, strengths)
    order = np.argsort(-strengths, kind="stable")
    return Strengths(
        names=tuple(names[i] for i in order),
        strengths=strengths[order],
        errors=np.sqrt(np.diag(covariance))[order],
        covariance=covariance[np.ix_(order, order)],
    )


def _scores(names: Sequence[str], wins: ArrayLike, ties: ArrayLike | None) -> Floats:
    """Return the wins plus half the ties, shape (k, k), after checking both."""
    won = np.asarray(wins, dtype=np.float64)
    tied = np.zeros_like(won) if ties is None else np.asarray(ties, dtype=np.float64)
    if len(names) < 2 or len(set(names)) != len(names):
        raise ValueError("names: expected at least two, all different")
    if won.shape != (len(names),) * 2 or tied.shape != won.shape:
        raise ValueError(f"wins and ties: expected the shape {(len(names),) * 2}")
    for matrix in (won, tied):
        if not np.all((matrix >= 0) & np.isfinite(matrix)) or np.diag(matrix).any():
            raise ValueError("wins and ties: expected counts, and zeros on the diagonal")
    if not np.array_equal(tied, tied.T):
        raise ValueError("ties: expected a symmetric matrix")
    return np.asarray(won + tied / 2, dtype=np.float64)


def _check_connected(names: Sequence[str], scores: Floats) -> None:
    from scipy.sparse import csr_array  # here: slow to import
    from scipy.sparse.csgraph import connected_components

    groups, group = connected_components(csr_array(scores), connection="strong")
    if groups == 1:
        return
    parts = [[n for n, g in zip(names, group, strict=True) if g == i] for i in range(groups)]
    listed = "; ".join(", ".join(part) for part in parts)
    raise DataError(
        f"no common scale: between these groups one side never won, or they were never compared: {listed}",
        next_command="compare versions of different groups on more prompts",
    )


def _fit(scores: Floats) -> Floats:
    """Iterate odds_i = wins_i / sum over j of meetings_ij / (odds_i + odds_j), as Hunter does."""
    met, won = scores + scores.T, scores.sum(axis=1)
    odds = np.ones(won.size)
    for _ in range(MOST_ITERATIONS):
        updated = won / (met / (odds[:, None] + odds)).sum(axis=1)
        updated /= np.exp(np.log(updated).mean())
        if np.max(np.abs(np.log(updated / odds))) < TOLERANCE:
            return np.asarray(np.log(updated), dtype=np.float64)
        odds = updated
    raise DataError(
        "strengths do not converge: some versions hardly ever win",
        next_command="compare neighbouring versions on more prompts",
    )


def _covariance(scores: Floats, strengths: Floats) -> Floats:
    """Return the inverse of the Fisher information for strengths with sum 0, shape (k, k)."""
    chance = 1 / (1 + np.exp(strengths[None, :] - strengths[:, None]))
    weight = (scores + scores.T) * chance * (1 - chance)
    return np.asarray(np.linalg.pinv(np.diag(weight.sum(axis=1)) - weight), dtype=np.float64)
