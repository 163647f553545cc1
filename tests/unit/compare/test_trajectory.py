"""The interval against the number of prompts: the right intervals of the right prompts."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from report_records import comparison, metric, row

from llmops.compare.trajectory import SIZES, trajectory
from llmops.records import Comparison, IntervalPoint, MetricResult, Row
from llmops.stats.sequential import SequentialTest

F1 = metric("token_f1", 0.05, 0.1, 0.15)


def spread(count: int, cluster: int = 3, gain: float = 0.1) -> tuple[Row, ...]:
    """Rows whose candidate gains so much on average; clusters of one size."""
    rng = random.Random(5)
    return tuple(
        row(
            *(i, "a", "b", (0.4, min(1.0, max(0.0, rng.gauss(0.4 + gain, 0.15))))),
            cluster=f"c{i // cluster}",
        )
        for i in range(count)
    )


def compared(shown: Sequence[Row], result: MetricResult = F1, **changes: object) -> Comparison:
    return comparison([result], shown, **changes)


def points(made: Comparison) -> tuple[IntervalPoint, ...]:
    return trajectory(made, "token_f1").points


def test_the_sizes_grow_to_every_prompt_and_keep_clusters_whole() -> None:
    found = points(compared(spread(301, cluster=7)))
    assert len(found) == SIZES
    assert all(a.prompts < b.prompts for a, b in pairwise(found))
    assert all(point.prompts % 7 == 0 for point in found)
    assert found[-1].prompts == 301


def test_the_intervals_hold_the_difference_and_narrow() -> None:
    found = points(compared(spread(300)))
    assert all(point.low <= point.difference <= point.high for point in found)
    widths = [point.high - point.low for point in found]
    assert widths[-1] < widths[len(widths) // 4] / 1.5


def test_the_last_interval_is_the_one_a_fixed_comparison_reports() -> None:
    rows = spread(120)
    test = SequentialTest("improve", 0.0, cap=120, method="fixed", alpha=0.025, largest_cluster=3)
    after = [one.candidate_scores["token_f1"] for one in rows]
    test.update([score - 0.4 for score in after], [one.example.cluster for one in rows], after)
    reported, last = test.finish(), points(compared(rows))[-1]
    assert (last.low, last.high) == pytest.approx((reported.low, reported.high), abs=1e-12)
    assert last.difference == pytest.approx(reported.difference)


def test_the_order_is_random_and_that_of_suite_and_sides() -> None:
    rows = tuple(sorted(spread(300), key=lambda one: one.candidate_scores["token_f1"]))
    rows = tuple(
        replace(one, example=replace(one.example, cluster=f"c{i}")) for i, one in enumerate(rows)
    )
    found = points(compared(rows))
    assert found == points(compared(rows))
    assert found[:-1] != points(compared(rows, suite_digest="aa" * 32))[:-1]
    assert abs(found[4].difference - found[-1].difference) < 0.05, "not the order of the suite"


def test_prompts_that_failed_on_both_sides_do_not_count() -> None:
    rows = spread(30)
    lost = replace(rows[0].baseline, finish_reason="error", error="timed out")
    failed = [replace(one, baseline=lost, candidate=lost) for one in rows[:6]]
    assert points(compared([*failed, *rows[6:]]))[-1].prompts == 24
    assert points(compared(failed)) == ()


def test_a_confidence_of_its_own_is_kept() -> None:
    wide = replace(F1, test=replace(F1.test, confidence=0.999))
    rows = spread(120)
    last, wider = (points(compared(rows, one))[-1] for one in (F1, wide))
    assert wider.high - wider.low > 1.3 * (last.high - last.low)


@pytest.mark.parametrize(("high", "wider"), [(0.99, True), (0.06, False)])
def test_a_reported_interval_that_allows_for_more_is_noted(high: float, wider: bool) -> None:
    result = metric("token_f1", 0.05, 0.055, high)
    assert trajectory(compared(spread(120), result), "token_f1").reported_is_wider is wider


def test_wins_and_losses_of_single_prompts_have_intervals_too() -> None:
    rows = [row(i, "a", "b", (0.0, float(i % 3 > 0)), cluster=f"c{i}") for i in range(40)]
    assert points(compared(rows))[-1].low > 0.4


def test_a_metric_that_was_not_computed_is_refused() -> None:
    with pytest.raises(KeyError, match="rouge_l"):
        trajectory(compared(spread(6)), "rouge_l")
