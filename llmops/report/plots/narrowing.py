"""Plot of a trajectory: how the interval of a difference narrows as prompts are added, as SVG."""

from __future__ import annotations

from llmops.records import Comparison, Decision, IntervalPoint, MetricResult
from llmops.report import wording
from llmops.report.plots import scale
from llmops.report.template import render

WIDTH, HEIGHT = 784, 300
LEFT, RIGHT, TOP, FLOOR = 70.0, 700.0, 28.0, 240.0
LABEL_LIMIT = 9
"""Maximum characters of a side's label."""
SETTLED = 0.2
"""Share of the prompts from which the intervals fit the axis; earlier, wider ones are clipped."""


def narrowing_svg(
    comparison: Comparison, result: MetricResult, decision: Decision | None = None
) -> str:
    """Draw the intervals of one metric, the zero line, and the gate's margins for the metric.

    Args:
        comparison: A finished comparison, with the trajectory of the metric.
        result: Result of the metric.
        decision: The gate's decision, if there is one.

    Returns:
        An SVG document on a white panel; empty if the trajectory has fewer than two points.
    """
    points = comparison.trajectory(result.metric).points
    if len(points) < 2:
        return ""
    margins = _margins(result, decision)
    settled = [p for p in points if p.prompts >= SETTLED * points[-1].prompts]
    ends = [end for p in settled for end in (p.low, p.high)]
    up = scale.around_zero([*ends, *margins], left=FLOOR, right=TOP)
    across = scale.Scale(0, points[-1].prompts, LEFT, RIGHT)
    return render(
        "plots/narrowing.svg.j2",
        width=WIDTH,
        height=HEIGHT,
        plot=(LEFT, RIGHT, TOP, FLOOR),
        metric=wording.metric_name(result.metric),
        points=[_drawn(p, across, up) for p in points],
        band=_path([(across(p.prompts), up(p.high)) for p in points])
        + _path([(across(p.prompts), up(p.low)) for p in reversed(points)]).replace("M", "L")
        + "Z",
        line=_path([(across(p.prompts), up(p.difference)) for p in points]),
        zero=up(0.0),
        margins=[(up(m), f"margin {scale.tick_label(m)}") for m in margins],
        x_ticks=[(across(n), f"{n:,}") for n in scale.count_ticks(points[-1].prompts)],
        y_ticks=[(up(tick), scale.tick_label(tick)) for tick in up.ticks()],
        baseline=wording.clean(comparison.baseline.label, LABEL_LIMIT),
        candidate=wording.clean(comparison.candidate.label, LABEL_LIMIT),
    )


def _margins(result: MetricResult, decision: Decision | None) -> list[float]:
    """Return the differences that the gate requires to be exceeded, zero excluded."""
    checks = [c for c in wording.differences_of(decision) if c.metric == result.metric]
    asked = {c.margin if c.must == "improve" else -c.margin for c in checks if c.margin}
    return sorted(asked or ({-result.margin} if result.margin else set()))


def _path(spots: list[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x} {y}" for x, y in spots)


def _drawn(point: IntervalPoint, across: scale.Scale, up: scale.Scale) -> dict[str, object]:
    ends = (wording.typeset(wording.signed(end)) for end in (point.low, point.high))
    return {
        "x": across(point.prompts),
        "y": up(point.difference),
        "title": f"{point.prompts:,} prompts: {wording.typeset(wording.signed(point.difference))},"
        f" {' to '.join(ends)}",
    }
