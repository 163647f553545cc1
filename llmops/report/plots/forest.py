"""The forest plot: the difference of each metric with its interval, as SVG."""

from __future__ import annotations

from llmops.records import Comparison, Decision, MetricResult
from llmops.report import wording
from llmops.report.plots import scale
from llmops.report.template import render
from llmops.report.wording import clean, finding, metric_name

WIDTH = 784
"""Width in pixels: MLflow's description column has 789 on a first visit, beside a scroll bar."""
PLOT = (176.0, 640.0)
"""Left and right pixel of the axis."""
TOP, ROW, BOTTOM = 48, 36, 50
"""Heights in pixels."""
LABEL_LIMIT = 9
MARK = 6.5
"""Radius of a mark in pixels."""


def forest_svg(comparison: Comparison, decision: Decision | None = None) -> str:
    """Draw the difference and interval of every metric; the figures stand in the table beside it.

    Args:
        comparison: Result of the comparison.
        decision: Decision of the gate; ``None`` if the gate did not run.

    Returns:
        An SVG document without scripts or external resources, foreign text escaped. It has a
        white panel, because MLflow's dark mode shows through.

    Example:
        from pathlib import Path

        from llmops.report import forest_svg

        Path("forest.svg").write_text(forest_svg(comparison), encoding="utf-8")
    """
    leading = wording.primary(comparison, decision)
    results = [leading, *(r for r in comparison.metrics if r is not leading)]
    ends = [value for r in results for value in (r.test.low, r.test.high, r.test.difference)]
    axis = scale.around_zero(ends, left=PLOT[0], right=PLOT[1])
    rows = [
        _row(result, decision, axis, TOP + ROW * (i + 0.5), result is leading)
        for i, result in enumerate(results)
    ]
    return render(
        "plots/forest.svg.j2",
        width=WIDTH,
        height=TOP + ROW * len(rows) + BOTTOM,
        floor=TOP + ROW * len(rows),
        top=TOP,
        plot=PLOT,
        baseline=clean(comparison.baseline.label, LABEL_LIMIT),
        candidate=clean(comparison.candidate.label, LABEL_LIMIT),
        confidence=wording.percent(results[0].test.confidence),
        ticks=[(axis(tick), scale.tick_label(tick)) for tick in axis.ticks()],
        zero=axis(0.0),
        rows=rows,
    )


def _row(
    result: MetricResult, decision: Decision | None, axis: scale.Scale, y: float, bold: bool
) -> dict[str, object]:
    test = result.test
    outcome = finding(result, decision)
    return {
        "y": y,
        "bold": bold,
        "metric": clean(metric_name(result.metric), 18),
        "low": axis(test.low),
        "high": axis(test.high),
        "mark": mark(outcome.shape, axis(test.difference), y),
        "finding": outcome,
        "title": (
            f"{wording.typeset(wording.signed(test.difference))},"
            f" {wording.typeset(wording.signed(test.low))} to"
            f" {wording.typeset(wording.signed(test.high))}"
        ),
    }


def mark(shape: str, x: float, y: float, r: float = MARK) -> str:
    """Return a finding's shape around a point as SVG path data; text would depend on the font."""
    if shape == "▲":
        return f"M{x - r} {y + r * 0.8:.1f}H{x + r}L{x} {y - r:.1f}Z"
    if shape == "▼":
        return f"M{x - r} {y - r * 0.8:.1f}H{x + r}L{x} {y + r:.1f}Z"
    if shape == "◆":
        return f"M{x} {y - r}L{x + r} {y}L{x} {y + r}L{x - r} {y}Z"
    r = round(0.8 * r, 1)  # as large to the eye as the others
    return f"M{x - r:.1f} {y}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 {-2 * r} 0Z"
