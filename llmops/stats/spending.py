"""O'Brien-Fleming boundaries by alpha spending, for looks at times that need not be planned.

After the share t of all prompts, at most 2 - 2 Phi(z / sqrt(t)) of the level alpha is spent, where z
is the upper alpha/2 quantile (Lan & DeMets 1983, Biometrika 70(3), 659-663). Early looks spend
almost nothing, so the last look keeps nearly the level of a single test. At each look, the boundary
is the height that a Brownian motion crosses there first with a probability equal to the newly spent
alpha. It takes one integral over the paths of the previous look (Armitage, McPherson & Rowe 1969,
J. R. Stat. Soc. A 132(2), 235-244).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

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


class OBrienFleming:
    """One-sided boundaries, computed look by look.

    Args:
        alpha: One-sided level of all looks together.
    """

    def __init__(self, alpha: float) -> None:
        self._alpha = alpha
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
        self._last = _following(self._last, self._alpha, time)
        return self._last.level


@lru_cache(maxsize=256)  # comparisons of one plan share their times
def _following(last: _Look, alpha: float, time: float) -> _Look:
    """Return the look at a later time."""
    step, new = time - last.time, spent(alpha, time) - last.spent
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


def spent(alpha: float, time: float) -> float:
    """Return the alpha that may be spent by a share of all prompts."""
    return float(2 * special.ndtr(special.ndtri(alpha / 2) / math.sqrt(time)))
