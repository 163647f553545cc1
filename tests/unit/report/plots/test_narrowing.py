"""The interval against the number of prompts: the right intervals, drawn where they are."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from report_pages import headings, parse, section, text_of
from report_records import comparison, decision, metric, row

from llmops.records import Check, Comparison, Row, Verdict
from llmops.report import html_report
from llmops.report.plots.narrowing import SIZES, Point, narrowing, narrowing_svg
from llmops.stats.sequential import SequentialTest

SVG = "{http://www.w3.org/2000/svg}"
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


def compared(shown: Sequence[Row], **changes: object) -> Comparison:
    return comparison([F1], shown, **changes)


def drawn(points: Sequence[Point], checks: Sequence[Check] | None = None) -> ElementTree.Element:
    asked = None if checks is None else decision(checks)
    return ElementTree.fromstring(narrowing_svg(points, compared(()), F1, asked))


def lines(root: ElementTree.Element, name: str) -> list[float]:
    """Heights of the level lines of a class."""
    found = [x for x in root.iter(f"{SVG}line") if x.get("class") == name]
    assert all(x.get("y1") == x.get("y2") for x in found)
    return [float(x.get("y1")) for x in found]


def test_the_sizes_grow_to_every_prompt_and_keep_clusters_whole():
    points = narrowing(compared(spread(301, cluster=7)), F1)
    assert len(points) == SIZES
    assert all(a.n < b.n for a, b in pairwise(points))
    assert all(point.n % 7 == 0 for point in points)
    assert points[-1].n == 301


def test_the_intervals_hold_the_difference_and_narrow():
    points = narrowing(compared(spread(300)), F1)
    assert all(point.low <= point.difference <= point.high for point in points)
    widths = [point.high - point.low for point in points]
    assert widths[-1] < widths[len(widths) // 4] / 1.5


def test_the_last_interval_is_the_one_a_fixed_comparison_reports():
    rows = spread(120)
    test = SequentialTest("improve", 0.0, cap=120, method="fixed", alpha=0.025, largest_cluster=3)
    after = [one.candidate_scores["token_f1"] for one in rows]
    test.update([score - 0.4 for score in after], [one.example.cluster for one in rows], after)
    told, last = test.finish(), narrowing(compared(rows), F1)[-1]
    assert (last.low, last.high) == pytest.approx((told.low, told.high), abs=1e-12)
    assert last.difference == pytest.approx(told.difference)


def test_the_order_is_random_and_that_of_suite_and_sides():
    rows = tuple(sorted(spread(300), key=lambda one: one.candidate_scores["token_f1"]))
    rows = tuple(
        replace(one, example=replace(one.example, cluster=f"c{i}")) for i, one in enumerate(rows)
    )
    points = narrowing(compared(rows), F1)
    assert points == narrowing(compared(rows), F1)
    assert points[:-1] != narrowing(compared(rows, suite_digest="aa" * 32), F1)[:-1]
    assert abs(points[4].difference - points[-1].difference) < 0.05, "not the order of the suite"


def test_prompts_that_failed_on_both_sides_do_not_count():
    rows = spread(30)
    lost = replace(rows[0].baseline, finish_reason="error", error="timed out")
    failed = [replace(one, baseline=lost, candidate=lost) for one in rows[:6]]
    assert narrowing(compared([*failed, *rows[6:]]), F1)[-1].n == 24


def test_a_confidence_of_its_own_is_kept():
    wide = replace(F1, test=replace(F1.test, confidence=0.999))
    rows = spread(120)
    last, wider = (narrowing(compared(rows), one)[-1] for one in (F1, wide))
    assert wider.high - wider.low > 1.3 * (last.high - last.low)


POINTS = (Point(20, 0.1, -0.5, 0.6), Point(60, 0.12, 0.0, 0.24), Point(100, 0.1, 0.04, 0.16))


def test_margins_lie_on_their_side_of_zero():
    checks = [
        Check("token_f1", "improve", 0.03, Verdict.IMPROVED, passed=True),
        Check("token_f1", "not_regress", 0.02, Verdict.IMPROVED, passed=True),
        Check("likelihood", "not_regress", 0.2, Verdict.IMPROVED, passed=True),
    ]
    root = drawn(POINTS, checks)
    (zero,) = lines(root, "zero")
    loss, gain = lines(root, "margin")
    assert gain < zero < loss, "up is better"
    assert zero - gain == pytest.approx(1.5 * (loss - zero), abs=0.3)


@pytest.mark.parametrize(
    "checks", [None, [Check("token_f1", "improve", 0.0, Verdict.IMPROVED, passed=True)]]
)
def test_without_a_margin_only_zero_is_drawn(checks):
    root = drawn(POINTS, checks)
    assert lines(root, "margin") == []
    assert len(lines(root, "zero")) == 1


def test_points_lie_on_the_line_and_what_is_wide_is_cut_at_the_plot():
    root = drawn([Point(1, 0.9, -1.0, 1.0), *POINTS])
    spots = [(float(c.get("cx")), float(c.get("cy"))) for c in root.iter(f"{SVG}circle")]
    paths = {path.get("class"): path.get("d") for path in root.iter(f"{SVG}path")}
    assert paths["line"] == "M" + "L".join(f"{x} {y}" for x, y in spots)
    assert [x for x, _ in spots] == sorted(x for x, _ in spots)
    corners = paths["band"].strip("MZ").split("L")
    assert len(corners) == 8
    assert all(28 <= float(corner.split()[1]) <= 240 for corner in corners)
    low = float(corners[4].split()[1])
    assert spots[-1][1] < low < lines(root, "zero")[0], "0.04 lies between the point and zero"


def test_the_widest_intervals_do_not_flatten_the_others():
    early = Point(10, 0.1, -1.0, 1.0)
    (zero,), (beside,) = (lines(drawn(points), "zero") for points in (POINTS, (early, *POINTS)))
    assert zero == beside


@pytest.mark.parametrize("points", [(), POINTS[:1]])
def test_a_single_size_is_no_figure(points):
    assert narrowing_svg(points, compared(()), F1) == ""


@pytest.mark.parametrize("count", [0, 1])
def test_without_prompts_there_is_no_such_section(count):
    page = html_report(compared(spread(count)))
    assert "Interval against n" not in headings(parse(page))


@pytest.mark.parametrize(("high", "wider"), [(0.99, True), (0.06, False)])
def test_the_caption_describes_and_says_if_the_reported_interval_is_another(high, wider):
    made = comparison([metric("token_f1", 0.05, 0.055, high)], spread(120))
    text = text_of(section(parse(html_report(made)), "Interval against n")[-1])
    assert "a suite with that fixed number of prompts" in text
    assert "a description that stopped nothing" in text
    assert ("The reported interval is wider" in text) is wider


def test_wins_and_losses_of_single_prompts_are_drawn_too():
    rows = [row(i, "a", "b", (0.0, float(i % 3 > 0)), cluster=f"c{i}") for i in range(40)]
    assert narrowing(compared(rows), F1)[-1].low > 0.4
