"""The win rate that a judge would give to answers of equal length.

Judges prefer long answers. A logistic model of the win with an intercept and the length difference
separates both, and its prediction at equal lengths is the adjusted win rate. The length enters as
tanh(difference / its standard deviation), so that extreme lengths do not gain more and more. This
is the length term of AlpacaEval's length-controlled win rate (Dubois et al. 2024,
arXiv:2404.04475); its terms for each instruction's difficulty need many models and are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from llmops.stats.units import DIGITS, Floats

RIDGE = 0.16
"""Penalty RIDGE / 2 * slope^2: the slope is taken for normal with standard deviation 2.5 before the
data (the scale of Gelman et al. 2008, Ann. Appl. Stat. 2, 1360-1383). Where the longer answer always
wins there is no finite slope without it; from some hundred pairs on it changes next to nothing."""
LONGEST = 1e15
EVEN = 0.5
ROUNDING = 1e-9
"""A win rate this close to one half is one half."""


@dataclass(frozen=True)
class LengthAdjusted:
    """Win rates of the candidate, ties half.

    Attributes:
        raw: As judged; NaN without pairs.
        adjusted: At equal lengths; the raw one where lengths cannot explain anything.
        slope: Log odds for the length term, which lies in (-1, 1); above 0 if long answers win.
        n: Pairs.
        candidate_longer: Share of pairs whose candidate's answer is the longer one; NaN without pairs.
    """

    raw: float
    adjusted: float
    slope: float
    n: int
    candidate_longer: float

    @property
    def contradicts(self) -> bool:
        """Whether the two lie on different sides of one half: length alone decides who wins."""
        raw, adjusted = self.raw - EVEN, self.adjusted - EVEN
        return raw * adjusted < 0 and min(abs(raw), abs(adjusted)) > ROUNDING


def length_adjusted(
    preferences: ArrayLike, baseline_lengths: ArrayLike, candidate_lengths: ArrayLike
) -> LengthAdjusted:
    """Adjusts a win rate for the lengths of the answers.

    Args:
        preferences: 1 where the candidate wins, -1 where the baseline does, 0 for a tie, shape (n,).
        baseline_lengths: Of its answers, in any one unit, shape (n,).
        candidate_lengths: In the same unit, shape (n,).

    Returns:
        Defined for every input. The adjusted rate is the raw one if no outcome differs from another,
        or if all length differences are the same: what always differs explains no difference.

    Raises:
        ValueError: Shapes differ, a preference outside [-1, 1], or a length outside [0, 1e15].
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
    """Intercept and slope of the most likely logistic model, the slope with its ridge.

    Args:
        won: Outcomes in [0, 1] that are not all the same, shape (n,).
        term: Length term, shape (n,).
    """
    from scipy import optimize  # here: most comparisons never get here, and start sooner

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

    found = optimize.minimize(
        loss, np.zeros(2), jac=gradient, hess=hessian, method="trust-exact", tol=1e-10
    )
    return float(found.x[0]), float(found.x[1])
