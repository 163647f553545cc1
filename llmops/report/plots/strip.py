"""Intervals as small figures in the rows of a table, all over one axis."""

from __future__ import annotations

from collections.abc import Iterable

from llmops.report.plots import scale
from llmops.report.plots.forest import mark
from llmops.report.wording import signed, typeset

WIDTH, MIDDLE, RADIUS = 220, 11.0, 5.0
"""Width, middle and mark radius of a figure, in units of its view box."""
MOST_TICKS = 4
"""Labels that fit below each other's neighbours."""


def axis_of(values: Iterable[float]) -> scale.Scale:
    """Return the axis that holds zero and all values."""
    return scale.around_zero(values, left=3 * RADIUS, right=WIDTH - 3 * RADIUS)


def frame(axis: scale.Scale) -> dict[str, object]:
    """Return the template values that all rows of a table share, with the labels of the axis."""
    ticks = axis.ticks()
    while len(ticks) > MOST_TICKS:
        ticks = [tick for tick in ticks if round(tick / (ticks[1] - ticks[0])) % 2 == 0]
    return {
        "zero": axis(0.0),
        "width": WIDTH,
        "middle": MIDDLE,
        "ticks": [(axis(tick), scale.tick_label(tick)) for tick in ticks],
    }


def row(
    axis: scale.Scale, ends: tuple[float, float, float], shape: str, tone: str
) -> dict[str, object]:
    """Return the template values of one row.

    Args:
        axis: From ``axis_of``.
        ends: Lower end, difference, and upper end.
        shape: Shape of the mark.
        tone: Class name of its colour.
    """
    low, difference, high = ends
    return {
        "low": axis(low),
        "high": axis(high),
        "mark": mark(shape, axis(difference), MIDDLE, RADIUS),
        "shape": shape,
        "tone": tone,
        "difference": typeset(signed(difference)),
        "interval": f"{typeset(signed(low))} to {typeset(signed(high))}",
    }
