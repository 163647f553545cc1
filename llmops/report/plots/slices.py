"""Results by slice: where in the suite a difference comes from. Warnings, never verdicts."""

from __future__ import annotations

from collections.abc import Sequence

from llmops.records import Comparison, MetricResult, SliceResult, SmallSlice
from llmops.report import wording
from llmops.report.plots import scale
from llmops.report.plots.forest import mark
from llmops.report.wording import clean, signed, typeset

MOST = 40
"""Slices in the table: with the examples they keep the report of any suite below 2 MB."""
MOST_SMALL = 20
MOST_OUTSTANDING = 5
"""Slices in a terminal."""
NAME_LIMIT = 40
WIDTH, MIDDLE, RADIUS = 200, 11.0, 5.0
"""Of the figure in each row, in units of its view box."""


def slice_table(
    slices: Sequence[SliceResult | SmallSlice], result: MetricResult
) -> dict[str, object]:
    """What the section shows, the slices with the smallest adjusted p-value first.

    Args:
        slices: Of one metric.
        result: That metric over all prompts; what its confidence leaves to 1 is the adjusted
            p-value that is marked.

    Returns:
        ``rows`` of the table, how many are ``hidden``, and the names of those ``too_small``.
    """
    level = 1 - result.test.confidence
    tested = [one for one in slices if isinstance(one, SliceResult)]
    tested.sort(key=lambda one: (one.p_adjusted, one.p_value, one.difference, one.key, one.value))
    shown = tested[:MOST]
    axis = scale.around_zero(_ends(shown), left=2 * RADIUS, right=WIDTH - 2 * RADIUS)
    return {
        "rows": [_row(one, axis, level) for one in shown],
        "hidden": len(tested) - len(shown),
        "too_small": _too_small([one for one in slices if isinstance(one, SmallSlice)]),
        "metric": wording.metric_name(result.metric),
        "confidence": wording.percent(result.test.confidence),
        "level": f"{round(level, 6):g}",
        "zero": axis(0.0),
        "width": WIDTH,
        "middle": MIDDLE,
    }


def _ends(shown: Sequence[SliceResult]) -> list[float]:
    """What the axis must hold; the interval of a single cluster says nothing and is cut."""
    telling = [one for one in shown if one.high - one.low < 2]
    return [end for one in telling for end in (one.low, one.high)] + [s.difference for s in shown]


def _row(one: SliceResult, axis: scale.Scale, level: float) -> dict[str, object]:
    shape, tone = _shape(one, level)
    return {
        "key": clean(one.key, NAME_LIMIT),
        "value": clean(one.value, NAME_LIMIT),
        "n": f"{one.n:,}",
        "low": axis(one.low),
        "high": axis(one.high),
        "mark": mark(shape, axis(one.difference), MIDDLE, RADIUS),
        "shape": shape,
        "tone": tone,
        "difference": typeset(signed(one.difference)),
        "interval": f"{typeset(signed(one.low))} to {typeset(signed(one.high))}",
        "p": wording.p_value(one.p_adjusted),
        "counts": f"{one.wins:,} / {one.ties:,} / {one.losses:,}",
    }


def outstanding(comparison: Comparison) -> list[SliceResult]:
    """The slices that differ, the smallest adjusted p-value first, at most ``MOST_OUTSTANDING``."""
    level = 1 - comparison.metrics[0].test.confidence
    found = [s for s in comparison.slices if isinstance(s, SliceResult) and s.p_adjusted <= level]
    return sorted(found, key=lambda one: (one.p_adjusted, one.p_value))[:MOST_OUTSTANDING]


def _shape(one: SliceResult, level: float) -> tuple[str, str]:
    if one.p_adjusted > level:
        return "●", "open"
    return ("▲", "good") if one.low > 0 else ("▼", "bad")


def _too_small(found: Sequence[SmallSlice]) -> list[str]:
    """Names with their number of prompts, the last of them a count of the others."""
    names = [
        f"{clean(one.key, NAME_LIMIT)}: {clean(one.value, NAME_LIMIT)} ({one.n:,})"
        for one in found[:MOST_SMALL]
    ]
    more = len(found) - len(names)
    return [*names, f"{more:,} more"] if more else names
