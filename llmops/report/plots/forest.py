"""The forest plot: each metric's difference with its interval, as one SVG file."""

from __future__ import annotations

from llmops.records import Comparison, Decision, MetricResult
from llmops.report import wording
from llmops.report.plots import scale
from llmops.report.template import render
from llmops.report.wording import clean, finding, metric_name

WIDTH = 784
"""Pixels: MLflow's description column has 789 on a first visit beside a scroll bar."""
PLOT = (316.0, 594.0)
TOP, ROW, BOTTOM = 48, 46, 50
LABEL_LIMIT = 9
MARK = 6.5


def forest_svg(comparison: Comparison, decision: Decision | None = None) -> str:
    """Draws every metric of a comparison.

    Returns:
        An SVG document: no scripts, no external resources, foreign text
        escaped. It has its own white panel, because MLflow's dark mode shows through.
    """
    results = comparison.metrics
    ends = [value for r in results for value in (r.test.low, r.test.high, r.test.difference)]
    axis = scale.around_zero(ends, left=PLOT[0], right=PLOT[1])
    first = wording.primary(comparison, decision).metric
    rows = [
        _row(result, decision, axis, TOP + ROW * (i + 0.5), result.metric == first)
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
    found = finding(result, decision)
    return {
        "y": y,
        "bold": bold,
        "metric": clean(metric_name(result.metric), 18),
        "baseline": f"{result.baseline:.3f}",
        "candidate": f"{result.candidate:.3f}",
        "low": axis(test.low),
        "high": axis(test.high),
        "mark": mark(found.shape, axis(test.difference), y),
        "finding": found,
        "title": (
            f"{wording.typeset(wording.signed(test.difference))},"
            f" {wording.typeset(wording.signed(test.low))} to"
            f" {wording.typeset(wording.signed(test.high))}"
        ),
    }


def mark(shape: str, x: float, y: float, r: float = MARK) -> str:
    """The finding's shape around a point, as path data: drawn, since fonts differ."""
    if shape == "▲":
        return f"M{x - r} {y + r * 0.8:.1f}H{x + r}L{x} {y - r:.1f}Z"
    if shape == "▼":
        return f"M{x - r} {y - r * 0.8:.1f}H{x + r}L{x} {y + r:.1f}Z"
    if shape == "◆":
        return f"M{x} {y - r}L{x + r} {y}L{x} {y + r}L{x - r} {y}Z"
    r = round(0.8 * r, 1)  # as large to the eye as the others
    return f"M{x - r:.1f} {y}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 {-2 * r} 0Z"
