"""Results by slice, which show where in the suite a difference comes from; the gate ignores them."""

from __future__ import annotations

from collections.abc import Sequence

from llmops.records import Comparison, MetricResult, SliceResult, SmallSlice
from llmops.report import wording
from llmops.report.plots import scale, strip
from llmops.report.wording import clean

MOST = 40
"""Most slices in the table; with the limits on examples, this keeps any report below 2 MB."""
MOST_SMALL = 20
"""Most names of slices that are too small."""
MOST_OUTSTANDING = 5
"""Most slices in the terminal table."""
NAME_LIMIT = 40


def slice_table(
    slices: Sequence[SliceResult | SmallSlice], result: MetricResult
) -> dict[str, object]:
    """Return the template values of the section, smallest adjusted p-value first.

    Args:
        slices: Results of one metric by slice.
        result: Result of that metric over all prompts; slices with an adjusted p-value of at most
            1 minus its confidence are marked.

    Returns:
        ``rows`` of the table, the number ``hidden``, the names ``too_small``, and the axis.
    """
    level = 1 - result.test.confidence
    tested = [item for item in slices if isinstance(item, SliceResult)]
    tested.sort(
        key=lambda item: (item.p_adjusted, item.p_value, item.difference, item.key, item.value)
    )
    shown = tested[:MOST]
    axis = strip.axis_of(_ends(shown))
    return {
        "rows": [_row(item, axis, level) for item in shown],
        "hidden": len(tested) - len(shown),
        "too_small": _too_small([item for item in slices if isinstance(item, SmallSlice)]),
        "metric": wording.metric_name(result.metric),
        "confidence": wording.percent(result.test.confidence),
        "level": f"{round(level, 6):g}",
        **strip.frame(axis),
    }


def _ends(shown: Sequence[SliceResult]) -> list[float]:
    """Return the values that the axis must hold, without intervals of single clusters."""
    bounded = [item for item in shown if item.high - item.low < 2]
    return [end for item in bounded for end in (item.low, item.high)] + [
        s.difference for s in shown
    ]


def _row(item: SliceResult, axis: scale.Scale, level: float) -> dict[str, object]:
    shape, tone = _shape(item, level)
    return {
        "key": clean(item.key, NAME_LIMIT),
        "value": clean(item.value, NAME_LIMIT),
        "n": f"{item.n:,}",
        **strip.row(axis, (item.low, item.difference, item.high), shape, tone),
        "p": wording.p_value(item.p_adjusted),
        "counts": f"{item.wins:,} / {item.ties:,} / {item.losses:,}",
    }


def outstanding(comparison: Comparison) -> list[SliceResult]:
    """Return up to ``MOST_OUTSTANDING`` slices that differ, smallest adjusted p-value first."""
    level = 1 - comparison.metrics[0].test.confidence
    tested = [s for s in comparison.slices if isinstance(s, SliceResult)]
    differing = [s for s in tested if s.p_adjusted <= level]
    return sorted(differing, key=lambda item: (item.p_adjusted, item.p_value))[:MOST_OUTSTANDING]


def _shape(item: SliceResult, level: float) -> tuple[str, str]:
    if item.p_adjusted > level:
        return "●", "open"
    return ("▲", "good") if item.low > 0 else ("▼", "bad")


def _too_small(slices: Sequence[SmallSlice]) -> list[str]:
    """Return names with their number of prompts; the last may be a count of the others."""
    names = [
        f"{clean(item.key, NAME_LIMIT)}: {clean(item.value, NAME_LIMIT)} ({item.n:,})"
        for item in slices[:MOST_SMALL]
    ]
    more = len(slices) - len(names)
    return [*names, f"{more:,} more"] if more else names
