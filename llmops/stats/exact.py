"""Exact tests of "no difference", for a number of prompts that is fixed in advance.

If both sides are equally good, a difference is as likely as its opposite. The number of wins is
then binomial with probability one half (McNemar 1947, Psychometrika 12; exact). For scores other
than 0 and 1, every choice of signs is equally likely (Fisher 1935, The Design of Experiments,
section 21). A cluster changes its sign as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from llmops.stats.units import Floats, Units, units_of

Alternative = Literal["two-sided", "greater", "less"]
ENUMERATED = 16
"""Up to 16 nonzero units, all 65,536 choices of signs are computed; beyond, they are sampled."""
DRAWS = 9_999
"""Random sign choices: a p-value of 0.05 then has a standard error of 0.002."""
CHUNK = 2**22
"""Signs drawn at a time: 32 MiB of memory."""
ROUNDING = 1e-9
"""Sums that differ by less count as equal; differences are rounded to 1e-12."""


def exact_test(
    differences: ArrayLike,
    clusters: Sequence[str] | None = None,
    *,
    alternative: Alternative = "two-sided",
    draws: int = DRAWS,
    seed: int = 0,
) -> float:
    """Return the p-value of "both sides are equally good".

    Uses McNemar's exact test for wins and losses of independent prompts, else a sign-flip test.

    Args:
        differences: Candidate minus baseline, in [-1, 1], shape (n,).
        clusters: Cluster name of each prompt, shape (n,); without it, prompts are independent.
        alternative: ``greater`` to test for a better candidate, ``less`` for a worse one.
        draws: Number of random sign choices, used if more than 16 units differ.
        seed: Seed of those draws.

    Returns:
        The p-value, in (0, 1]; 1 if no prompt differs.

    Raises:
        ValueError: The differences are not one-dimensional, contain NaN or a number outside
            [-1, 1], or there is not one cluster name for each.

    Example:
        from llmops.stats import exact_test

        # 8 wins, 1 loss and 3 ties
        p = exact_test([1] * 8 + [-1] + [0] * 3)
        assert round(p, 3) == 0.039
    """
    return p_alike(units_of(differences, clusters), alternative, draws=draws, seed=seed)


def p_alike(units: Units, alternative: Alternative, *, draws: int = DRAWS, seed: int = 0) -> float:
    """Return the p-value of ``exact_test`` for differences that are already grouped in units."""
    if units.are_ternary:
        wins, losses = int((units.sums > 0).sum()), int((units.sums < 0).sum())
        return mcnemar(wins, losses, alternative=alternative)
    return sign_flip(units.sums, alternative=alternative, draws=draws, seed=seed)


def mcnemar(wins: int, losses: int, *, alternative: Alternative = "two-sided") -> float:
    """Return the exact p-value of "a win is as likely as a loss"; 1 if there are neither."""
    if wins + losses == 0:
        return 1.0
    n = wins + losses
    # Not scipy.stats.binomtest: the same p-values, but a hundred times slower, and slow to import.
    tails = {"greater": special.bdtrc(wins - 1, n, 0.5), "less": special.bdtr(wins, n, 0.5)}
    two_sided = min(1.0, 2 * min(tails.values()))  # the distribution is symmetric
    return float({**tails, "two-sided": two_sided}[alternative])


def sign_flip(
    sums: ArrayLike,
    *,
    alternative: Alternative = "two-sided",
    draws: int = DRAWS,
    seed: int = 0,
) -> float:
    """Return the p-value of the total among the totals under all choices of signs.

    Args:
        sums: Sum of differences of each unit, shape (G,).
        alternative: See ``exact_test``.
        draws: Number of sampled sign choices if more than ``ENUMERATED`` units differ. The
            observed signs count as one more draw, which keeps the level (Phipson & Smyth 2010,
            doi:10.2202/1544-6115.1585).
        seed: Seed of the draws.
    """
    # Not scipy.stats.permutation_test: slower, and its draws would change published p-values.
    values = np.asarray(sums, np.float64)
    values = values[values != 0]  # a zero keeps its sum under either sign
    if values.size <= ENUMERATED:
        flipped, added = _all_sums(values), 0
    else:
        flipped, added = _random_sums(values, draws, seed), 1
    observed, slack = float(values.sum()), ROUNDING * max(1.0, float(np.abs(values).sum()))
    above = float(((flipped >= observed - slack).sum() + added) / (flipped.size + added))
    below = float(((flipped <= observed + slack).sum() + added) / (flipped.size + added))
    return {"greater": above, "less": below, "two-sided": min(1.0, 2 * min(above, below))}[
        alternative
    ]


def _all_sums(values: Floats) -> Floats:
    """Return the totals under every choice of signs, shape (2^G,)."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def _random_sums(values: Floats, draws: int, seed: int) -> Floats:
    """Return the totals under random signs, shape (draws,)."""
    rng = np.random.default_rng(seed)
    sums, step = np.empty(draws), max(1, CHUNK // values.size)
    for start in range(0, draws, step):
        rows = min(step, draws - start)
        signs = rng.integers(0, 2, (rows, values.size), dtype=np.int8)
        sums[start : start + rows] = signs.astype(np.float64) @ (2 * values) - values.sum()
    return sums
