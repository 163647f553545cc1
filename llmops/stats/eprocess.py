"""Evidence that may be inspected after every prompt: betting on a bounded mean.

A gambler starts with a wealth of 1 and bets the share L of it that differences exceed m. After a
difference d the wealth is multiplied by 1 + L (d - m) / (1 + m), which is never negative because
d >= -1 and L < 1. If the mean is at most m, no bet wins on average. The wealth is then a test
supermartingale, and *ever* reaches 1/alpha with probability at most alpha (Ville 1939;
Waudby-Smith & Ramdas 2024, J. R. Stat. Soc. B 86(1), arXiv:2010.09686). Nothing is assumed about
the distribution but its bounds. The average over several L is again such a wealth, and grows nearly
as fast as the best of them.

With clusters, the unit is the cluster, with mean difference d and n prompts, and the bet is L n / N,
where N is the largest cluster that can occur. E[n (d - m)] <= 0 states that the mean *over prompts*
is at most m, and n / N <= 1 keeps the wealth positive; so the bound holds even if small and large
clusters behave differently. N must be known in advance: it depends on the suite, not on the answers.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llmops.stats.units import Floats

BETS = tuple(np.arange(1, 20) / 20)
"""Shares of the wealth to bet, .05 to .95: small ones find small effects, large ones large effects."""
EDGE = 1e-9
"""Distance from 1 that a tested mean keeps: means of exactly -1 or 1 allow no bet."""
STEPS = 50
"""Most bisections of [-1, 1]."""


class EProcess:
    """Accumulate evidence against "the mean difference is at most ``bound``".

    Args:
        bound: Mean that the evidence speaks against, in (-1, 1).
        mirrored: Whether to test "at least ``bound``" instead.

    Raises:
        ValueError: The bound is outside (-1, 1).

    Example:
        import math

        from llmops.stats import EProcess

        process = EProcess(bound=0.0)
        process.look([1.0, 0.0, 1.0, 1.0, 0.0])
        log_e = process.look([1.0] * 10)
        assert log_e > math.log(1 / 0.05)  # rejected at level 0.05, at any time
    """

    def __init__(self, bound: float, *, mirrored: bool = False) -> None:
        self._sign = -1.0 if mirrored else 1.0
        self._bound = _checked(self._sign * bound)
        self._log_wealth = np.zeros(len(BETS))
        self.largest = 0.0
        """Natural log of the largest e-value at a look so far; 0 before the first."""

    @property
    def log_e(self) -> float:
        """Natural log of the current e-value."""
        return float(np.logaddexp.reduce(self._log_wealth)) - math.log(len(BETS))

    def look(self, means: ArrayLike, weights: ArrayLike | None = None) -> float:
        """Add units and return the e-value after them.

        Args:
            means: Mean difference of each new unit, in [-1, 1], shape (g,).
            weights: Size of each unit divided by the largest possible size, in (0, 1], shape (g,);
                without it, 1.

        Returns:
            Natural log of the e-value.
        """
        gains = _gains(self._sign * np.asarray(means, np.float64), self._bound, weights)
        self._log_wealth += np.log1p(np.multiply.outer(np.array(BETS), gains)).sum(axis=1)
        self.largest = max(self.largest, self.log_e)
        return self.log_e


def log_e_values(means: ArrayLike, bound: float, weights: ArrayLike | None = None) -> Floats:
    """Return log e-values against "the mean is at most ``bound``", one after every unit.

    Args:
        means: Mean difference of each unit in order, in [-1, 1], shape (..., g); leading axes are
            independent sequences.
        bound: Mean that the evidence speaks against, in (-1, 1).
        weights: As in ``EProcess.look``.

    Returns:
        Natural logs, shape (..., g).

    Raises:
        ValueError: The bound is outside (-1, 1).

    Example:
        from llmops.stats import log_e_values

        log_e = log_e_values([1.0, 1.0, -1.0, 1.0], bound=0.0)
        assert log_e.shape == (4,)
        assert log_e[1] > log_e[0] > 0  # two wins are more evidence than one
        assert log_e[2] < log_e[1]
    """
    gains = _gains(np.asarray(means, np.float64), _checked(bound), weights)
    total = np.full_like(gains, -np.inf)
    for bet in BETS:  # one after the other: all at once would need 19 times the memory
        np.logaddexp(total, np.cumsum(np.log1p(bet * gains), axis=-1), out=total)
    return total - math.log(len(BETS))


def confidence_sequence(
    means: ArrayLike,
    alpha: float,
    weights: ArrayLike | None = None,
    looks: ArrayLike | None = None,
) -> tuple[float, float]:
    """Return the interval of means that no look so far has rejected.

    The e-value against m falls as m rises, since (d - m) / (1 + m) = (1 + d) / (1 + m) - 1. The
    means that are not rejected therefore form an interval, and bisection finds its ends.

    Args:
        means: Mean difference of each unit in order, in [-1, 1], shape (g,).
        alpha: Probability with which each end may ever be wrong, in (0, 1).
        weights: As in ``EProcess.look``.
        looks: Number of units seen at each look, ascending; without it, a look after every unit.

    Returns:
        Lower and upper end; (-1, 1) where nothing is rejected.

    Example:
        from llmops.stats import confidence_sequence

        low, high = confidence_sequence([1.0, 0.0, 1.0, 0.0, 0.0] * 20, alpha=0.025)
        assert 0 < low < 0.4 < high < 1
    """
    values = np.asarray(means, np.float64)
    stops = np.arange(values.size) if looks is None else np.asarray(looks, dtype=np.intp) - 1
    if stops.size == 0:
        return -1.0, 1.0
    return _lower(values, alpha, weights, stops), -_lower(-values, alpha, weights, stops)


def _lower(
    values: Floats, alpha: float, weights: ArrayLike | None, stops: NDArray[np.intp]
) -> float:
    def rejected(mean: float) -> bool:
        return bool(log_e_values(values, mean, weights)[stops].max() >= -math.log(alpha))

    low, high = -1.0, 1.0 - EDGE
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if rejected(middle) else (low, middle)
        if high - low < EDGE:
            break
    return low


def _gains(means: Floats, bound: float, weights: ArrayLike | None) -> Floats:
    """Return the gain of a bet of 1 on each unit, at least -1, shape (..., g)."""
    share = 1.0 if weights is None else np.asarray(weights, np.float64)
    return np.asarray(share * (means - bound) / (1 + bound), dtype=np.float64)


def _checked(bound: float) -> float:
    if not -1 < bound < 1:
        raise ValueError(f"bound: expected a number between -1 and 1, received {bound}")
    return bound
