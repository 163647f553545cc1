"""Positions of values on a plot, and round numbers to label its axis."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

STEPS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
MOST_TICKS = 6


@dataclass(frozen=True)
class Scale:
    """A linear map from differences to pixels.

    Attributes:
        low: Value at the left end.
        high: Value at the right end, above ``low``.
        left: Pixel of ``low``.
        right: Pixel of ``high``.
    """

    low: float
    high: float
    left: float
    right: float

    def __call__(self, value: float) -> float:
        """Return the pixel of a value; values outside the scale fall on its ends."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(self.left + share * (self.right - self.left), 1)

    def ticks(self) -> list[float]:
        """Return at most six round values within the scale, including zero if it is inside."""
        step = round_up((self.high - self.low) / MOST_TICKS)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return [round(i * step, 6) for i in range(first, last + 1)]


def round_up(value: float) -> float:
    """Return the smallest of ``STEPS`` that is at least a value."""
    return next((step for step in STEPS if step >= value - 1e-12), STEPS[-1])


def around_zero(values: Iterable[float], *, left: float, right: float) -> Scale:
    """Return a scale that holds zero and all values with some room, never of zero width."""
    inside = [0.0, *(v for v in values if math.isfinite(v))]
    low, high = min(inside), max(inside)
    air = max(0.06 * (high - low), 0.005)
    return Scale(low - air, high + air, left, right)


def count_ticks(most: int) -> list[int]:
    """Return a few round counts, from zero up to a positive number."""
    power = 10 ** max(0, len(str(most)) - 2)
    steps = (f * power for f in (1, 2, 5, 10, 20, 50))
    return list(range(0, most + 1, next(step for step in steps if most / step <= MOST_TICKS)))


def tick_label(value: float) -> str:
    """Format a tick: ``0`` without a sign, others with one, such as ``+0.2``."""
    return f"{value:+g}".replace("-", "\N{MINUS SIGN}") if value else "0"
