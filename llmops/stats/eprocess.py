"""Evidence that may be looked at after every prompt: betting on a bounded mean.

A gambler starts with 1 and bets the share L of it that differences exceed m: after d it is
multiplied by 1 + L (d - m) / (1 + m), which is never negative as d >= -1 and L < 1. If the mean is
at most m, no bet wins on average, so the wealth E is a test supermartingale and exceeds 1/alpha
*ever* with probability at most alpha (Ville 1939; Waudby-Smith & Ramdas 2024, J. R. Stat. Soc. B
86(1), arXiv:2010.09686). Nothing is assumed of the distribution but its bounds. The average over
several L is again such a wealth; it is near the best of them without knowing which that is.

Clusters: the unit is the cluster, with its mean difference d, its n prompts and the bet L n / N,
where N is the largest cluster that can occur. E[n (d - m)] <= 0 is just that the mean *over prompts*
is at most m, and n / N <= 1 keeps the wealth positive; so this stays valid when small and large
clusters differ. N must be known beforehand: sizes belong to the suite, not to the answers.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llmops.stats.units import Floats

BETS = tuple(np.arange(1, 20) / 20)
"""Shares of wealth at stake, .05 to .95: small ones find small effects, large ones large effects."""
EDGE = 1e-9
"""A mean of exactly -1 cannot be bet on: every other difference would refute it at once."""
STEPS = 50
"""Bisections of [-1, 1]: beyond the precision of a float."""


class EProcess:
    """The wealth against "the mean difference is at most ``bound``", unit by unit.

    Args:
        bound: In (-1, 1).
        mirrored: Bets against "at least ``bound``" instead.

    Raises:
        ValueError: A bound outside (-1, 1).
    """

    def __init__(self, bound: float, *, mirrored: bool = False) -> None:
        self._sign = -1.0 if mirrored else 1.0
        self._bound = _checked(self._sign * bound)
        self._log_wealth = np.zeros(len(BETS))
        self.largest = 0.0
        """Log of the largest e-value at a look so far."""

    @property
    def log_e(self) -> float:
        """Log of the e-value now."""
        return float(np.logaddexp.reduce(self._log_wealth)) - math.log(len(BETS))

    def look(self, means: ArrayLike, weights: ArrayLike | None = None) -> float:
        """Adds units, then looks.

        Args:
            means: Mean difference of each new unit, in [-1, 1], shape (g,).
            weights: Size of each unit over the largest possible, in (0, 1]; 1 if absent.

        Returns:
            Log of the e-value.
        """
        gains = _gains(self._sign * np.asarray(means, np.float64), self._bound, weights)
        self._log_wealth += np.log1p(np.multiply.outer(np.array(BETS), gains)).sum(axis=1)
        self.largest = max(self.largest, self.log_e)
        return self.log_e


def log_e_values(means: ArrayLike, bound: float, weights: ArrayLike | None = None) -> Floats:
    """Log e-values against "the mean is at most ``bound``" after every unit.

    Args:
        means: Mean difference of each unit, in order, shape (..., g); leading axes are
            independent sequences.
        bound: In (-1, 1).
        weights: As in ``EProcess.look``.

    Returns:
        Shape (..., g).

    Raises:
        ValueError: A bound outside (-1, 1).
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
    """The means that no look so far has refuted.

    E(m) falls as m rises, since (d - m) / (1 + m) = (1 + d) / (1 + m) - 1; so the means that are
    not refuted form an interval, and bisection finds its ends.

    Args:
        means: As in ``EProcess.look``, in order.
        alpha: Probability with which each end may ever be wrong.
        weights: As in ``EProcess.look``.
        looks: How many units had been seen at each look, ascending; every unit if absent.

    Returns:
        Lower and upper end; (-1, 1) where nothing is refuted.
    """
    values = np.asarray(means, np.float64)
    stops = np.arange(values.size) if looks is None else np.asarray(looks, dtype=np.intp) - 1
    if stops.size == 0:
        return -1.0, 1.0
    return _lower(values, alpha, weights, stops), -_lower(-values, alpha, weights, stops)


def _lower(
    values: Floats, alpha: float, weights: ArrayLike | None, stops: NDArray[np.intp]
) -> float:
    def refuted(mean: float) -> bool:
        return bool(log_e_values(values, mean, weights)[stops].max() >= -math.log(alpha))

    low, high = -1.0, 1.0 - EDGE
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if refuted(middle) else (low, middle)
        if high - low < EDGE:
            break
    return low


def _gains(means: Floats, bound: float, weights: ArrayLike | None) -> Floats:
    """What one unit of stake wins on each unit: at least -1."""
    share = 1.0 if weights is None else np.asarray(weights, np.float64)
    return np.asarray(share * (means - bound) / (1 + bound), dtype=np.float64)


def _checked(bound: float) -> float:
    if not -1 < bound < 1:
        raise ValueError(f"bound: expected a number between -1 and 1, received {bound}")
    return bound
