"""The interval of the mean difference when the number of prompts is fixed in advance.

The t interval uses the observed spread. If a candidate fails rarely but badly, that spread is
usually too small, and a loss as large as the margin passes too often: in 6 to 13% of simulations at
a level of 5%. Two other intervals keep the level (figures in ``docs/explanation/
operating-characteristics.md``):

- For wins and losses of independent prompts, the score interval. Its variance is the one that the
  tested mean implies (Tango 1998, Statistics in Medicine 17, 891-908). At 0 its test is McNemar's.
- Otherwise, the outermost of three intervals: that of ``paired.py``; the same corrected for skewness
  (Hall 1992, J. R. Stat. Soc. B 54(1), 221-228, his monotone cubic); and a worst-case interval for
  failures that the sample is too small to contain. In k units without a failure, the rate may still
  be 1 - alpha^(1/k), the Clopper-Pearson bound for 0 of k. The lower end fears failures of the
  candidate, the upper end failures of the baseline, each on the k units where that side scores
  highest; k is the worst choice of at least a quarter of the units. (With k = 1, the largest of many
  unequal clusters alone would decide: on documents of WMT22 half of the differences were lost.)

The interval of one side's own mean, which a floor is held against, is made of the same parts. Right and
wrong answers to independent prompts have the exact binomial interval (Clopper & Pearson 1934, Biometrika
26(4), 404-413).

The intervals of a difference include 0 unless the exact test (``exact.py``) rejects "both sides are equally
good", so that interval and test never contradict each other. Everything mirrors: swapped sides give the same interval
with its ends exchanged and negated, and the same p-values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from llmops.stats.exact import DRAWS, ENUMERATED, Alternative, p_alike
from llmops.stats.paired import cluster_interval, jackknife
from llmops.stats.units import DIGITS, Floats, Units, cluster_sums

STEPS = 40
"""Number of bisections; leaves 1e-12 of the range."""
SMALLEST_P, LARGEST_ALPHA = 1e-9, 0.4999
"""Range of levels in which a p-value is searched."""
FAILING = 0.25
"""Smallest share of the units that unseen failures may concern."""
SYMMETRIC = 1e-6
"""Skewness below which it is ignored: the formula divides by it."""


def interval(
    units: Units, alpha: float, *, draws: int = DRAWS, seed: int = 0
) -> tuple[float, float]:
    """Return both ends of the interval, each wrong with probability at most ``alpha``.

    Args:
        units: Units with at least one prompt.
        alpha: Level of each end, in (0, 0.5); the interval has confidence 1 - 2 alpha.
        draws: Number of draws of the sign-flip test.
        seed: Seed of the sign-flip test.

    Returns:
        Ends in [-1, 1]; (-1, 1) with fewer than two units.
    """
    if units.sums.size < 2:
        return -1.0, 1.0
    low, high = ends(units, alpha)
    if low > 0 and _alike(units, "greater", alpha, draws, seed):
        low = 0.0
    if high < 0 and _alike(units, "less", alpha, draws, seed):
        high = 0.0
    return max(-1.0, low), min(1.0, high)


def p_above(units: Units, bound: float, *, draws: int = DRAWS, seed: int = 0) -> float:
    """Return the p-value of "the mean difference is at most ``bound``".

    It is the smallest level at which ``interval`` excludes the bound.

    Args:
        units: Units with at least one prompt.
        bound: Tested mean difference, in (-1, 1).
        draws: Number of draws of the sign-flip test.
        seed: Seed of the sign-flip test.

    Returns:
        A number from 1e-9 to 1; 1 if an interval of almost no confidence includes the bound.
    """
    low, high = math.log(SMALLEST_P), math.log(LARGEST_ALPHA)
    if units.sums.size < 2 or ends(units, LARGEST_ALPHA)[0] <= bound:
        return 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        excluded = ends(units, math.exp(middle))[0] > bound
        low, high = (low, middle) if excluded else (middle, high)
    p = math.exp(high)
    return p if bound < 0 else max(p, p_alike(units, "greater", draws=draws, seed=seed))


def mean_interval(
    scores: ArrayLike, clusters: Sequence[str] | None = None, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Return the two-sided interval of a mean score; each end takes half of the error.

    Args:
        scores: Scores in [0, 1], shape (n,).
        clusters: Cluster name of each prompt, shape (n,); without it, prompts are independent.
        confidence: Confidence of the interval, in (0, 1).

    Returns:
        Ends in [0, 1]; (0, 1) with fewer than two clusters.

    Raises:
        ValueError: A score is NaN or outside [0, 1], there is not one cluster name for each, or the
            confidence is outside (0, 1).

    Example:
        from llmops.stats import mean_interval

        low, high = mean_interval([1.0] * 40)
        assert round(low, 3) == 0.912 and high == 1.0
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: expected a number between 0 and 1, received {confidence}")
    values = np.asarray(scores, dtype=np.float64).round(DIGITS)
    if values.ndim != 1 or not np.all((values >= 0) & (values <= 1)):  # NaN fails too
        raise ValueError("scores: expected numbers in [0, 1], in one dimension")
    sums, sizes = cluster_sums(values, clusters)
    if sums.size < 2:
        return 0.0, 1.0
    alpha = (1 - confidence) / 2
    if np.all(sizes == 1) and np.isin(sums, (0.0, 1.0)).all():
        return _binomial(int(sums.sum()), sums.size, alpha)
    low, high = ends(Units(sums, sizes, falls=sums, rises=sizes - sums), alpha)
    return max(0.0, low), min(1.0, high)


def _alike(units: Units, alternative: Alternative, alpha: float, draws: int, seed: int) -> bool:
    """Return whether the exact test does not reject "both sides are equally good"."""
    differing = int(np.count_nonzero(units.sums))
    if not units.are_ternary and differing > ENUMERATED and alpha * (draws + 1) < 1:
        return True  # these draws are too few for a p-value of alpha
    return p_alike(units, alternative, draws=draws, seed=seed) > alpha


def ends(units: Units, alpha: float) -> tuple[float, float]:
    """Return both ends without the exact test of "no difference", which only concerns 0."""
    return _score_ends(units, alpha) if units.are_ternary else _skewed_ends(units, alpha)


def _score_ends(units: Units, alpha: float) -> tuple[float, float]:
    """Return the ends of Tango's interval."""
    wins, losses = int((units.sums > 0).sum()), int((units.sums < 0).sum())
    n, z = units.sums.size, -float(special.ndtri(alpha))
    return _score_low(wins, losses, n, z), -_score_low(losses, wins, n, z)


def _score_low(wins: int, losses: int, n: int, z: float) -> float:
    """Return the mean below the observed one whose score is z."""
    low, high = -1.0, (wins - losses) / n
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if _score(wins, losses, n, middle) >= z else (low, middle)
    return low


def _score(wins: int, losses: int, n: int, mean: float) -> float:
    """Return the standardised distance of the observed mean from ``mean`` (Tango 1998, eq. 12).

    The probability p of a loss is the likeliest one under ``mean``: the larger root of
    2n p^2 + (-w - l + (2n - w + l) mean) p - l mean (1 - mean) = 0, for w wins and l losses.
    """
    b = -wins - losses + (2 * n - wins + losses) * mean
    c = -losses * mean * (1 - mean)
    loss = (math.sqrt(max(0.0, b * b - 8 * n * c)) - b) / (4 * n)
    variance = n * (2 * loss + mean * (1 - mean))
    distance = wins - losses - n * mean
    if variance <= 0:
        return math.copysign(math.inf, distance) if distance else 0.0
    return distance / math.sqrt(variance)


def _skewed_ends(units: Units, alpha: float) -> tuple[float, float]:
    """Return the outermost ends of the plain, the skewness-corrected and the worst-case interval."""
    plain, _ = cluster_interval(units.sums, units.sizes, 1 - 2 * alpha)
    mean, error, freedom = jackknife(units.sums, units.sizes)
    prompts = float(units.sizes.sum())
    low = min(plain.low, mean - _unseen(units.falls, alpha) / prompts)
    high = max(plain.high, mean + _unseen(units.rises, alpha) / prompts)
    if error == 0:
        return low, high
    quantile = -float(special.stdtrit(freedom, alpha))
    skew = _skewness(units, mean) / math.sqrt(freedom + 1)
    below, above = (mean - error * _unskewed(z, skew) for z in (quantile, -quantile))
    return min(low, below), max(high, above)


def _unseen(stakes: Floats, alpha: float) -> float:
    """Return the largest total loss by failures that the sample may be too small to contain."""
    fewest = max(1, math.ceil(FAILING * stakes.size))
    largest = np.cumsum(np.sort(stakes)[::-1])
    chance = 1 - alpha ** (1 / np.arange(1, stakes.size + 1))
    return float(np.max((chance * largest)[fewest - 1 :]))


def _skewness(units: Units, mean: float) -> float:
    residual = units.sums - mean * units.sizes
    spread = float(np.mean(residual**2)) ** 1.5
    return float(np.mean(residual**3)) / spread if spread > 0 else 0.0  # 0: equal up to rounding


def _unskewed(quantile: float, skew: float) -> float:
    """Return T with T + k T^2 / 3 + k^2 T^3 / 27 + k / 6 equal to the quantile, k the skew."""
    if abs(skew) < SYMMETRIC:
        return quantile
    return float(3 / skew * (np.cbrt(1 + skew * (quantile - skew / 6)) - 1))


def _binomial(successes: int, n: int, alpha: float) -> tuple[float, float]:
    """Return the ends of the Clopper-Pearson interval, each with error ``alpha``."""
    low = special.betaincinv(successes, n - successes + 1, alpha) if successes else 0.0
    high = special.betaincinv(successes + 1, n - successes, 1 - alpha) if successes < n else 1.0
    return float(low), float(high)
