"""Boundaries by alpha spending, for looks at times that need not be planned.

A spending function says how much of the level alpha may be used up by the share t of all prompts (Lan &
DeMets 1983, Biometrika 70(3), 659-663). Two are here:

- ``power``: alpha t^2.5 (the family of Kim & DeMets 1987, Biometrika 74(1), 149-154): early looks can
  decide, and the last look keeps most of the level of a single test;
- ``obf``: 2 - 2 Phi(z / sqrt(t)), where z is the upper alpha/2 quantile, as O'Brien and Fleming: early
  looks spend almost nothing.

At each look, the boundary is the height that a Brownian motion crosses there first with a probability
equal to the newly spent alpha. It takes one integral over the paths of the previous look (Armitage,
McPherson & Rowe 1969, J. R. Stat. Soc. A 132(2), 235-244).

``spend`` and ``obf`` test the clusters as far as they were seen (``plan.spread_blocks``). The
information about the mean grows at least as fast as the number of prompts, so the tests at two looks
are correlated at least as much as the boundaries assume, which makes these conservative (Slepian 1962,
Bell Syst. Tech. J. 41, 463-501).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy import special

from llmops.stats.units import Floats

LOWEST = -8.0
"""Standard deviations below which a path is dropped: it practically never returns."""
NEGLIGIBLE = 1e-14
"""Alpha below which a look is skipped: the integral is not more precise than this."""
POINTS_PER_WIDTH = 4
"""Integration points per standard deviation of a step."""
FEWEST_POINTS, MOST_POINTS = 100, 1_000
SMALLEST_P, LARGEST_ALPHA = 1e-9, 0.4999
"""Range of levels in which a p-value over all looks is searched."""
EXPONENT = 2.5
"""Of t in ``power``. With 2, large effects need 10% fewer prompts, and a difference that 1,000 prompts
would just show is shown 1.2 points less often; with 3 it is the other way round, by 20% and 0.5 points."""
P_DIGITS = 1e-4
"""Relative precision of that p-value."""

Spending = Literal["power", "obf"]


@dataclass(frozen=True, eq=False)
class _Look:
    """A look, and the paths that have not crossed a boundary by then.

    Attributes:
        time: Share of all prompts seen, in [0, 1].
        spent: Alpha spent so far.
        level: Level of the test at this look.
        points: Heights of the paths, shape (p,).
        density: Probability at those heights, times the integration weights, shape (p,).
    """

    time: float
    spent: float
    level: float
    points: Floats
    density: Floats


_START = _Look(0.0, 0.0, 0.0, np.zeros(1), np.ones(1))


class Boundary:
    """One-sided boundaries, computed look by look.

    Args:
        alpha: One-sided level of all looks together.
        spending: Spending function.
    """

    def __init__(self, alpha: float, spending: Spending) -> None:
        self._alpha, self._spending = alpha, spending
        self._last = _START

    def level(self, time: float) -> float:
        """Return the level that the test at this look may use.

        Args:
            time: Share of all prompts seen, in (0, 1], larger than at the previous look.

        Returns:
            The one-sided level; 0 while the alpha to spend is negligible.

        Raises:
            ValueError: The time is not after the previous look, or above 1.
        """
        if not self._last.time < time <= 1:
            raise ValueError(f"time: expected in ({self._last.time}, 1], received {time}")
        self._last = _following(self._last, self._alpha, time, self._spending)
        return self._last.level


def p_over_looks(p_value: float, times: Sequence[float], spending: Spending) -> float:
    """Return the smallest alpha at which the test of the last look would have rejected.

    It is a p-value although the number of looks depends on the data (the repeated p-value of Jennison
    & Turnbull 2000, Group Sequential Methods, section 9.2.2, at one look).

    Args:
        p_value: One-sided p-value of the test at the last look.
        times: Times of all looks, ascending.
        spending: Spending function.

    Returns:
        A number from 1e-9 to 1; 1 if no level below 0.5 rejects.
    """
    from scipy import optimize  # here: slow to import, and most comparisons do not need it

    def excess(log_alpha: float) -> float:
        boundary = Boundary(math.exp(log_alpha), spending)
        level = [boundary.level(time) for time in times][-1]
        return math.log(max(level, 1e-300) / p_value)

    low, high = math.log(SMALLEST_P), math.log(LARGEST_ALPHA)
    if excess(high) < 0:
        return 1.0
    if excess(low) >= 0:
        return SMALLEST_P
    return math.exp(float(optimize.brentq(excess, low, high, xtol=P_DIGITS)))


@lru_cache(maxsize=1024)  # comparisons of one plan share their times
def _following(last: _Look, alpha: float, time: float, spending: Spending) -> _Look:
    """Return the look at a later time."""
    step, new = time - last.time, spent(alpha, time, spending) - last.spent
    crossing = math.inf if new < NEGLIGIBLE else _crossing(last, step, new)
    points, density = _moved(last, time, crossing)
    total = last.spent if math.isinf(crossing) else last.spent + new
    level = float(special.ndtr(-crossing / math.sqrt(time)))
    return _Look(time, total, level, points, density)


def _crossing(last: _Look, step: float, new: float) -> float:
    """Return the height that paths reach here for the first time with probability ``new``."""
    from scipy import optimize  # here: slow to import, and most comparisons do not need it

    def excess(height: float) -> float:
        beyond = special.ndtr((last.points - height) / math.sqrt(step))
        return math.log(max(float(beyond @ last.density), 1e-300) / new)

    return float(optimize.brentq(excess, LOWEST, -LOWEST + 2, xtol=1e-10))


def _moved(last: _Look, time: float, crossing: float) -> tuple[Floats, Floats]:
    """Return points and density of the paths that stay below the crossing at this look."""
    step = math.sqrt(time - last.time)
    low, high = LOWEST * math.sqrt(time), min(crossing, -LOWEST * math.sqrt(time))
    nodes, weights = _legendre(math.ceil(POINTS_PER_WIDTH * (high - low) / step))
    points = low + (nodes + 1) * (high - low) / 2
    distance = (points[:, None] - last.points) / step
    reached = np.exp(-(distance**2) / 2) / (math.sqrt(2 * math.pi) * step) @ last.density
    return points, np.asarray(reached * weights * (high - low) / 2, dtype=np.float64)


def _legendre(count: int) -> tuple[Floats, Floats]:
    return _rule(min(MOST_POINTS, max(FEWEST_POINTS, math.ceil(count / 50) * 50)))


@lru_cache(maxsize=32)
def _rule(count: int) -> tuple[Floats, Floats]:
    """Return points and weights of the Gauss-Legendre rule, cached because they are slow to find."""
    return np.polynomial.legendre.leggauss(count)


def spent(alpha: float, time: float, spending: Spending) -> float:
    """Return the alpha that may be spent by a share of all prompts."""
    if spending == "power":
        return float(alpha * time**EXPONENT)
    return float(2 * special.ndtr(special.ndtri(alpha / 2) / math.sqrt(time)))
