"""Trajectory of a metric: how the interval of the difference narrows with the number of prompts.

Each interval is the one that a suite of this many prompts, fixed in advance, would have had. They
are descriptive: no comparison is stopped by them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from llmops.compare.stopping import comparable
from llmops.records import Comparison, IntervalPoint, MetricResult, Row, Trajectory
from llmops.stats.exact import DRAWS
from llmops.stats.plan import blocks, seed_of
from llmops.stats.terminal import interval
from llmops.stats.units import units_of

SIZES = 20
"""Number of points at most."""
FLIPS, FEWEST_DRAWS = 5_000_000, 199
"""Signs drawn for each interval: all of the test's own draws up to 500 prompts, fewer beyond."""
WIDER = 1.01
"""Ratio of widths above which two intervals differ by more than the sign flip test's random draws."""


def trajectory(comparison: Comparison, metric: str) -> Trajectory:
    """Compute the intervals at about twenty sizes; the last size is every prompt that counts.

    The order is random, the same for the same suite and sides, and does not split clusters.

    Args:
        comparison: A finished comparison.
        metric: Name of a metric of the comparison.

    Raises:
        KeyError: The comparison did not compute the metric.
    """
    result = comparison.metric(metric)
    rows = comparable(comparison.rows)
    if not rows:
        return Trajectory(metric, ())
    sides = (comparison.baseline.digest, comparison.candidate.digest)
    clusters = [row.example.cluster for row in rows]
    units = blocks(len(rows), 1, seed_of(comparison.suite_digest, *sides), clusters)
    shuffled = [rows[i] for i in np.concatenate(units)]
    alpha = (1 - result.test.confidence) / 2
    ends = np.cumsum([unit.size for unit in units])
    wanted = np.linspace(0, len(rows), SIZES + 1)[1:]
    sizes = np.unique(ends[np.searchsorted(ends, wanted - 1e-9)])
    points = tuple(_point(shuffled[: int(n)], metric, alpha) for n in sizes)
    return Trajectory(metric, points, _is_wider(result, points[-1]))


def _point(rows: Sequence[Row], metric: str, alpha: float) -> IntervalPoint:
    after = np.array([row.candidate_scores[metric] for row in rows])
    gains = after - np.array([row.baseline_scores[metric] for row in rows])
    units = units_of(gains, [row.example.cluster for row in rows], after)
    fewest = max(FEWEST_DRAWS, math.ceil(1 / alpha))
    draws = max(fewest, min(DRAWS, FLIPS // units.sums.size))
    return IntervalPoint(len(rows), units.mean, *interval(units, alpha, draws=draws))


def _is_wider(result: MetricResult, last: IntervalPoint) -> bool:
    """Return whether the reported interval is wider than that of a sample size fixed in advance."""
    return result.test.high - result.test.low > WIDER * (last.high - last.low)
