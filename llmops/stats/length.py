"""The win rate that a judge would give to answers of equal length.

Judges prefer long answers. A logistic model predicts a win from an intercept and the difference in
length; its prediction at equal lengths is the adjusted win rate. The length enters as
tanh(difference / standard deviation of the differences), so that extreme lengths have a bounded
effect. This is the length term of AlpacaEval's length-controlled win rate (Dubois et al. 2024,
arXiv:2404.04475). AlpacaEval's terms for the difficulty of each instruction need many models and
are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from llmops.stats.units import DIGITS, Floats

RIDGE = 0.16
"""Weight of the penalty RIDGE / 2 * slope^2: a normal prior of the slope with standard deviation 2.5
(the scale of Gelman et al. 2008, Ann. Appl. Stat. 2, 1360-1383). Without it, the slope is infinite
where the longer answer always wins; beyond some hundred pairs it hardly changes the result."""
LONGEST = 1e15
"""Largest accepted length."""
EVEN = 0.5
"""Win rate of two sides that are equally good."""
LEAST_RAW, MOST_RAW = 0.2, 0.8
"""Raw win rates for which the adjusted one is meant. Beyond them it extrapolates: of AlpacaEval's 57
models, one with a raw rate of 2.4% would get 17.2%, where AlpacaEval's own adjustment gives 5.9%."""
ROUNDING = 1e-9
"""A win rate this close to one half counts as one half."""


@dataclass(frozen=True)
class LengthAdjusted:
    """Win rates of the candidate, in [0, 1]; a tie counts one half.

    Attributes:
        raw: Win rate as judged; NaN without pairs.
        adjusted: Win rate at equal lengths; equal to ``raw`` where lengths explain nothing.
        slope: Log odds per unit of the length term, which lies in (-1, 1); positive if longer
            answers win.
        n: Number of pairs.
        candidate_longer: Share of pairs in which the candidate's answer is longer; NaN without
            pairs.

    Example:
        from llmops.stats import length_adjusted

        result = length_adjusted([1, 1, -1, 1], [20, 30, 50, 40], [90, 80, 10, 30])
        assert (result.raw, result.n) == (0.75, 4)
        assert result.slope > 0  # longer answers won
    """

    raw: float
    adjusted: float
    slope: float
    n: int
    candidate_longer: float

    @property
    def is_reliable(self) -> bool:
        """Whether the raw rate is within 0.2 to 0.8; outside, the adjusted one extrapolates."""
        return LEAST_RAW - ROUNDING <= self.raw <= MOST_RAW + ROUNDING

    @property
    def contradicts(self) -> bool:
        """Whether length decides who wins: raw and adjusted rate lie on different sides of 0.5.

        Never where the adjusted rate is not reliable.
        """
        raw, adjusted = self.raw - EVEN, self.adjusted - EVEN
        return self.is_reliable and raw * adjusted < 0 and min(abs(raw), abs(adjusted)) > ROUNDING


def length_adjusted(
    preferences: ArrayLike, baseline_lengths: ArrayLike, candidate_lengths: ArrayLike
) -> LengthAdjusted:
    """Adjust a win rate for the lengths of the answers.

    Args:
        preferences: 1 where the candidate wins, -1 where the baseline wins, 0 for a tie, shape (n,).
        baseline_lengths: Lengths of the baseline's answers, in any unit, shape (n,).
        candidate_lengths: Lengths of the candidate's answers in the same unit, shape (n,).

    Returns:
        Raw and adjusted win rate. Both are equal if all outcomes, or all differences in length,
        are the same: a constant explains no difference.

    Raises:
        ValueError: The shapes differ, a preference is outside [-1, 1], or a length is outside
            [0, 1e15].

    Example:
        from llmops.stats import length_adjusted

        # The candidate wins 3 of 4 pairs, always with the longer answer.
        result = length_adjusted([1, 1, 1, -1], [20, 30, 20, 70], [90, 80, 60, 40])
        assert result.raw == 0.75
        assert result.adjusted < result.raw
    """
    won = (1 + _checked(preferences, "preferences", -1.0, 1.0)) / 2
    before = _checked(baseline_lengths, "baseline_lengths", 0.0, LONGEST)
    after = _checked(candidate_lengths, "candidate_lengths", 0.0, LONGEST)
    if not won.size == before.size == after.size:
        raise ValueError(f"{won.size} preferences, {before.size} and {after.size} lengths")
    longer = np.round(after - before, DIGITS)
    raw = float(won.mean()) if won.size else float("nan")
    share = float((longer > 0).mean()) if won.size else float("nan")
    if won.size == 0 or np.ptp(won) == 0 or np.ptp(longer) == 0:
        return LengthAdjusted(raw, raw, 0.0, won.size, share)
    intercept, slope = _fit(won, np.tanh(longer / longer.std(ddof=1)))
    return LengthAdjusted(raw, float(special.expit(intercept)), slope, won.size, share)


def _checked(values: ArrayLike, name: str, least: float, most: float) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not np.all((array >= least) & (array <= most)):  # NaN fails too
        raise ValueError(f"{name}: expected numbers from {least:g} to {most:g} in one dimension")
    return array


def _fit(won: Floats, term: Floats) -> tuple[float, float]:
    """Return intercept and slope of the maximum-likelihood logistic model with the ridge penalty.

    Args:
        won: Outcomes in [0, 1] that are not all the same, shape (n,).
        term: Length term, shape (n,).
    """
    from scipy import optimize  # here: slow to import, and most comparisons do not need it

    design = np.column_stack([np.ones_like(term), term])
    ridge = np.array([0.0, RIDGE])

    def loss(weights: Floats) -> float:
        logits = design @ weights
        return float(np.sum(np.logaddexp(0, logits) - won * logits) + ridge @ weights**2 / 2)

    def gradient(weights: Floats) -> Floats:
        return design.T @ (special.expit(design @ weights) - won) + ridge * weights

    def hessian(weights: Floats) -> Floats:
        chance = special.expit(design @ weights)
        return (design.T * (chance * (1 - chance))) @ design + np.diag(ridge)

    fit = optimize.minimize(
        loss, np.zeros(2), jac=gradient, hess=hessian, method="trust-exact", tol=1e-10
    )
    return float(fit.x[0]), float(fit.x[1])
