"""One scale for more than two versions: strengths from pairwise wins.

Version i beats j with probability 1 / (1 + exp(s_j - s_i)) (Bradley & Terry 1952, Biometrika
39(3/4), 324-345). A tie is half a win for each. The maximum likelihood is found by the iteration
of Hunter (2004, Ann. Statist. 32(1), 384-406) and exists only if no group of versions won, or lost,
every comparison with the others (Ford 1957, Amer. Math. Monthly 64(8), 28-33). Strengths add up
to 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from llmops.errors import DataError
from llmops.stats.units import Floats

TOLERANCE = 1e-12
MOST_ITERATIONS = 100_000


@dataclass(frozen=True)
class Strengths:
    """A ranking scale of versions.

    Attributes:
        names: Strongest first.
        strengths: Log odds; they add up to 0.
        errors: Standard errors, if comparisons are independent: each version's strength against
            the mean of all.
        covariance: Of the strengths, shape (k, k); of rank k - 1.
    """

    names: tuple[str, ...]
    strengths: Floats
    errors: Floats
    covariance: Floats

    def chance(self, one: str, other: str) -> float:
        """Probability that one beats the other.

        Raises:
            ValueError: A name that was not compared.
        """
        gap = self.strengths[self.names.index(one)] - self.strengths[self.names.index(other)]
        return float(1 / (1 + np.exp(-gap)))

    def error_of_gap(self, one: str, other: str) -> float:
        """Standard error of the difference of two strengths, their covariance included.

        Raises:
            ValueError: A name that was not compared.
        """
        i, j = self.names.index(one), self.names.index(other)
        c = self.covariance
        return float(np.sqrt(c[i, i] + c[j, j] - 2 * c[i, j]))


def bradley_terry(
    names: Sequence[str], wins: ArrayLike, ties: ArrayLike | None = None
) -> Strengths:
    """Strengths of versions that were compared in pairs.

    Args:
        names: Of the versions, k of them, at least two.
        wins: ``wins[i, j]`` times i beat j, shape (k, k), diagonal 0.
        ties: ``ties[i, j]`` times they tied, symmetric, shape (k, k); none if absent.

    Raises:
        DataError: The strengths of two groups cannot be compared: one of them never lost to the
            other, or they never met.
        ValueError: Shapes, signs or symmetry are wrong, or a name occurs twice.
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
    """Wins with ties as half a win for each side."""
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
    from scipy.sparse import csr_array  # here: it takes long to import
    from scipy.sparse.csgraph import connected_components

    groups, group = connected_components(csr_array(scores), connection="strong")
    if groups == 1:
        return
    parts = [[n for n, g in zip(names, group, strict=True) if g == i] for i in range(groups)]
    listed = "; ".join(", ".join(part) for part in parts)
    raise DataError(
        f"no common scale: between these groups one side never won, or they never met: {listed}",
        next_command="compare versions of different groups on more prompts",
    )


def _fit(scores: Floats) -> Floats:
    """Hunter's iteration: odds = own wins / sum over others of meetings / (odds + others' odds)."""
    met, won = scores + scores.T, scores.sum(axis=1)
    odds = np.ones(won.size)
    for _ in range(MOST_ITERATIONS):
        updated = won / (met / (odds[:, None] + odds)).sum(axis=1)
        updated /= np.exp(np.log(updated).mean())
        if np.max(np.abs(np.log(updated / odds))) < TOLERANCE:
            return np.asarray(np.log(updated), dtype=np.float64)
        odds = updated
    raise DataError(
        "strengths do not settle: some versions hardly ever win",
        next_command="compare neighbouring versions on more prompts",
    )


def _covariance(scores: Floats, strengths: Floats) -> Floats:
    """Inverse of the Fisher information on strengths that add up to 0."""
    chance = 1 / (1 + np.exp(strengths[None, :] - strengths[:, None]))
    weight = (scores + scores.T) * chance * (1 - chance)
    return np.asarray(np.linalg.pinv(np.diag(weight.sum(axis=1)) - weight), dtype=np.float64)
