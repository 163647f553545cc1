"""What the report shows of one metric: differences, slices and examples; a switch chooses the metric."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from llmops.records import Comparison, Decision, MetricResult
from llmops.report.html import examples
from llmops.report.plots.histogram import histogram_svg
from llmops.report.plots.narrowing import narrowing_svg
from llmops.report.plots.slices import slice_table
from llmops.report.wording import metric_name

MOST = 6
"""Most metrics of the switch; with the limits on examples, this keeps any report below 2 MB."""


def panes(
    comparison: Comparison, decision: Decision | None, result: MetricResult
) -> list[Mapping[str, object]]:
    """Return the template values of each metric of the switch, the leading one first.

    Args:
        comparison: Result of the comparison.
        decision: Decision of the gate; ``None`` if the gate did not run.
        result: The metric that leads.
    """
    return [
        _pane(comparison, decision, shown, shown is result)
        for shown in list(_ordered(comparison, result))[:MOST]
    ]


def further(comparison: Comparison, result: MetricResult) -> str:
    """Return the names of the metrics for which the switch has no room; empty if there are none."""
    names = [metric_name(one.metric) for one in list(_ordered(comparison, result))[MOST:]]
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def _ordered(comparison: Comparison, result: MetricResult) -> Iterator[MetricResult]:
    yield result
    yield from (one for one in comparison.metrics if one is not result)


def _pane(
    comparison: Comparison, decision: Decision | None, result: MetricResult, leads: bool
) -> dict[str, object]:
    metric = result.metric
    first = metric == comparison.metrics[0].metric
    slices = comparison.slices if first else comparison.further_slices.get(metric, ())
    most = examples.MOST if leads else examples.FEW
    return {
        "metric": metric_name(metric),
        "histogram": histogram_svg(
            examples.differences(comparison, metric),
            baseline=comparison.baseline.label,
            candidate=comparison.candidate.label,
        ),
        "narrowing": narrowing_svg(comparison, result, decision),
        "reported_is_wider": comparison.trajectory(metric).reported_is_wider,
        "slices": slice_table(slices, result),
        "shelves": [
            (shelf, examples.shelf_title(shelf, comparison.candidate.label))
            for shelf in examples.shelves(comparison, metric, most)
        ],
    }
