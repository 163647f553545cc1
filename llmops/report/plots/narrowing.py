"""How a difference and its interval narrow with the number of prompts, as SVG.

Each interval is the one that a suite of so many prompts, fixed ahead, would have had. They
describe; no comparison is stopped by them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llmops.records import Comparison, Decision, MetricResult, Row
from llmops.report import wording
from llmops.report.plots import scale
from llmops.report.template import render
from llmops.stats.exact import DRAWS
from llmops.stats.plan import blocks, seed_of
from llmops.stats.terminal import interval
from llmops.stats.units import units_of

SIZES = 20
FLIPS, FEWEST_DRAWS = 5_000_000, 199
"""Signs drawn for each interval: all of the test's own draws up to 500 prompts, fewer beyond."""
WIDTH, HEIGHT = 784, 300
LEFT, RIGHT, TOP, FLOOR = 70.0, 700.0, 28.0, 240.0
LABEL_LIMIT = 9
SETTLED = 0.2
"""The axis holds the intervals from this share of the prompts on; the widest are cut at its ends."""


WIDER = 1.01
"""A width beyond this ratio is another interval, not another draw of the sign flip test."""


@dataclass(frozen=True)
class Point:
    """The interval of the first ``n`` prompts."""

    n: int
    difference: float
    low: float
    high: float


def narrowing(comparison: Comparison, result: MetricResult) -> list[Point]:
    """The intervals of about twenty sizes, the last of which is every prompt that counts.

    The order is random, the same for the same suite and sides, and keeps clusters whole.
    """
    rows = [row for row in comparison.rows if not row.failed]
    if not rows:
        return []
    sides = (comparison.baseline.digest, comparison.candidate.digest)
    clusters = [row.example.cluster for row in rows]
    units = blocks(len(rows), 1, seed_of(comparison.suite_digest, *sides), clusters)
    shuffled = [rows[i] for i in np.concatenate(units)]
    alpha = (1 - result.test.confidence) / 2
    ends = np.cumsum([unit.size for unit in units])
    wanted = np.linspace(0, len(rows), SIZES + 1)[1:]
    sizes = np.unique(ends[np.searchsorted(ends, wanted - 1e-9)])
    return [_point(shuffled[: int(n)], result.metric, alpha) for n in sizes]


def _point(rows: list[Row], metric: str, alpha: float) -> Point:
    after = np.array([row.candidate_scores[metric] for row in rows])
    gains = after - np.array([row.baseline_scores[metric] for row in rows])
    units = units_of(gains, [row.example.cluster for row in rows], after)
    fewest = max(FEWEST_DRAWS, math.ceil(1 / alpha))
    draws = max(fewest, min(DRAWS, FLIPS // units.sums.size))
    return Point(len(rows), units.mean, *interval(units, alpha, draws=draws))


def reported_is_wider(points: Sequence[Point], result: MetricResult) -> bool:
    """Whether the reported interval allows for more than a number of prompts fixed ahead."""
    test = result.test
    return bool(points) and test.high - test.low > WIDER * (points[-1].high - points[-1].low)


def narrowing_svg(
    points: Sequence[Point],
    comparison: Comparison,
    result: MetricResult,
    decision: Decision | None = None,
) -> str:
    """Draws the intervals of one metric, zero, and the margins that the gate has for it.

    Args:
        points: See ``narrowing``.
        comparison: What was measured.
        result: The metric.
        decision: What the gate says of it.

    Returns:
        An SVG document on its own white panel; empty with fewer than two points.
    """
    if len(points) < 2:
        return ""
    margins = _margins(result, decision)
    settled = [p for p in points if p.n >= SETTLED * points[-1].n]
    ends = [end for p in settled for end in (p.low, p.high)]
    up = scale.around_zero([*ends, *margins], left=FLOOR, right=TOP)
    across = scale.Scale(0, points[-1].n, LEFT, RIGHT)
    return render(
        "plots/narrowing.svg.j2",
        width=WIDTH,
        height=HEIGHT,
        plot=(LEFT, RIGHT, TOP, FLOOR),
        metric=wording.metric_name(result.metric),
        points=[_drawn(p, across, up) for p in points],
        band=_path([(across(p.n), up(p.high)) for p in points])
        + _path([(across(p.n), up(p.low)) for p in reversed(points)]).replace("M", "L")
        + "Z",
        line=_path([(across(p.n), up(p.difference)) for p in points]),
        zero=up(0.0),
        margins=[(up(m), f"margin {scale.tick_label(m)}") for m in margins],
        x_ticks=[(across(n), f"{n:,}") for n in scale.count_ticks(points[-1].n)],
        y_ticks=[(up(tick), scale.tick_label(tick)) for tick in up.ticks()],
        baseline=wording.clean(comparison.baseline.label, LABEL_LIMIT),
        candidate=wording.clean(comparison.candidate.label, LABEL_LIMIT),
    )


def _margins(result: MetricResult, decision: Decision | None) -> list[float]:
    """Differences that the gate's demands on the metric must exceed, other than zero."""
    checks = [c for c in (decision.checks if decision else ()) if c.metric == result.metric]
    asked = {c.margin if c.must == "improve" else -c.margin for c in checks if c.margin}
    return sorted(asked or ({-result.margin} if result.margin else set()))


def _path(spots: list[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x} {y}" for x, y in spots)


def _drawn(point: Point, across: scale.Scale, up: scale.Scale) -> dict[str, object]:
    ends = (wording.typeset(wording.signed(end)) for end in (point.low, point.high))
    return {
        "x": across(point.n),
        "y": up(point.difference),
        "title": f"{point.n:,} prompts: {wording.typeset(wording.signed(point.difference))},"
        f" {' to '.join(ends)}",
    }
