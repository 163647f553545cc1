"""One ranking scale for more than two versions: strengths from pairwise wins.

Version i beats j with probability 1 / (1 + exp(s_j - s_i)), where s are the strengths (Bradley &
Terry 1952, Biometrika 39(3/4), 324-345). A tie counts as half a win for each. Hunter's iteration
(2004, Ann. Statist. 32(1), 384-406) finds the maximum likelihood. It exists only if no group of
versions won, or lost, every comparison with the others (Ford 1957, Amer. Math. Monthly 64(8),
28-33). Strengths sum to 0.

All versions answer the same prompts, so their wins are not independent, and neither are prompts of
one cluster. The standard errors therefore do not rely on the model: they are those of the sandwich
estimator over clusters (Liang & Zeger 1986, Biometrika 73(1), 13-22).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from llmops.errors import DataError
from llmops.stats.clusters import worth
from llmops.stats.units import DIGITS, Floats, cluster_sums

TOLERANCE = 1e-12
"""Largest change of a log strength at which the iteration ends."""
MOST_ITERATIONS = 100_000


@dataclass(frozen=True)
class Strengths:
    """Strengths of k versions on one scale, strongest first.

    Attributes:
        names: Names of the versions, length k.
        strengths: Log odds against the mean of all versions, shape (k,); their sum is 0.
        errors: Standard errors of the strengths, shape (k,). They assume only that clusters are
            independent, and are widened for few clusters: a strength ± 1.96 errors is a 95%
            interval of Student's t.
        covariance: Covariance matrix of the strengths, shape (k, k), likewise.

    Example:
        from llmops.stats import bradley_terry

        strengths = bradley_terry(["v1", "v2"], [[0, 0, 1, 0], [1, 1, 0, 1]])
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
    names: Sequence[str], scores: ArrayLike, clusters: Sequence[str] | None = None
) -> Strengths:
    """Estimate the strengths of versions that answered the same prompts.

    On each prompt, each version wins against every version with a lower score.

    Args:
        names: Names of the k versions, at least two, all different.
        scores: Scores of each version on each prompt, in any unit, shape (k, n).
        clusters: Cluster name of each prompt, length n; without it, prompts are independent.

    Returns:
        Strengths with standard errors, strongest version first.

    Raises:
        DataError: Two groups have no common scale, because one never lost to the other; or all
            prompts are one cluster; or the iteration does not converge.
        ValueError: A shape is wrong, a score is not finite, or a name occurs twice.

    Example:
        from llmops.stats import bradley_terry

        scores = [[0.1, 0.6, 0.2, 0.4], [0.2, 0.5, 0.4, 0.5], [0.9, 0.1, 0.8, 0.6]]
        strengths = bradley_terry(["v1", "v2", "v3"], scores, clusters=["a", "b", "c", "c"])
        assert strengths.names == ("v3", "v2", "v1")
        assert abs(strengths.strengths.sum()) < 1e-9
    """
    outcomes = _outcomes(names, scores)
    wins = outcomes.sum(axis=2)
    _check_connected(names, wins)
    strengths = _fit(wins)
    covariance = _covariance(outcomes, strengths, clusters)
    order = np.argsort(-strengths, kind="stable")
    return Strengths(
        names=tuple(names[i] for i in order),
        strengths=strengths[order],
        errors=np.sqrt(np.diag(covariance))[order],
        covariance=covariance[np.ix_(order, order)],
    )


def _outcomes(names: Sequence[str], scores: ArrayLike) -> Floats:
    """Return 1 where version i beats j, 1/2 for a tie, else 0, shape (k, k, n); 0 where i is j."""
    known = np.asarray(scores, dtype=np.float64)
    if len(names) < 2 or len(set(names)) != len(names):
        raise ValueError("names: expected at least two, all different")
    if known.ndim != 2 or known.shape[0] != len(names) or not np.isfinite(known).all():
        raise ValueError(f"scores: expected finite numbers of shape ({len(names)}, prompts)")
    gaps = np.round(known[:, None, :] - known[None, :, :], DIGITS)
    outcomes = (np.sign(gaps) + 1) / 2
    outcomes[np.diag_indices(len(names))] = 0
    return np.asarray(outcomes, dtype=np.float64)


def _check_connected(names: Sequence[str], wins: Floats) -> None:
    from scipy.sparse import csr_array  # here: slow to import
    from scipy.sparse.csgraph import connected_components

    groups, group = connected_components(csr_array(wins), connection="strong")
    if groups == 1:
        return
    parts = [[n for n, g in zip(names, group, strict=True) if g == i] for i in range(groups)]
    listed = "; ".join(", ".join(part) for part in parts)
    raise DataError(
        f"no common scale: between these groups one side never won: {listed}",
        next_command="compare versions of different groups on more prompts",
    )


def _fit(wins: Floats) -> Floats:
    """Iterate odds_i = wins_i / sum over j of meetings_ij / (odds_i + odds_j), as Hunter does."""
    met, won = wins + wins.T, wins.sum(axis=1)
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


def _covariance(outcomes: Floats, strengths: Floats, clusters: Sequence[str] | None) -> Floats:
    """Return H^- (sum over clusters of c_g U_g U_g^T) H^-, shape (k, k), for strengths with sum 0.

    H is the information of the model. U_g is the score function of cluster g: wins minus expected
    wins. c_g = 1 / (1 - share of the prompts in g) makes up for residuals that are too small
    because they belong to the fit (Bell & McCaffrey 2002, Survey Methodology 28(2), 169-181); with
    G equal clusters it is G / (G - 1).
    """
    k, prompts = outcomes.shape[0], outcomes.shape[2]
    chance = 1 / (1 + np.exp(strengths[None, :] - strengths[:, None]))
    np.fill_diagonal(chance, 0)
    residuals = outcomes.sum(axis=1) - chance.sum(axis=1)[:, None]
    parts = [cluster_sums(residuals[i], clusters) for i in range(k)]
    sizes = parts[0][1]
    if sizes.size < 2:
        raise DataError(
            "all prompts are one cluster: its strengths have no standard error",
            next_command="compare on prompts of several clusters",
        )
    scores = np.stack([sums for sums, _ in parts])
    weight = prompts * chance * chance.T
    inverse = np.linalg.pinv(np.diag(weight.sum(axis=1)) - weight)
    sandwich = inverse @ (scores / (1 - sizes / prompts)) @ scores.T @ inverse
    return np.asarray(_for_few(worth(sizes)) * sandwich, dtype=np.float64)


def _for_few(clusters: float) -> float:
    """Return the factor of the variance with which 1.96 standard errors are Student's t interval."""
    return float((special.stdtrit(clusters - 1, 0.975) / special.ndtri(0.975)) ** 2)
