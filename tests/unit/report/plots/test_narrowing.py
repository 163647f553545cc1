"""How the interval narrows, drawn where it is."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

import pytest
from report_pages import headings, parse, section, text_of
from report_records import comparison, decision, metric

from llmops.records import Check, Comparison, Trajectory, Verdict
from llmops.records import IntervalPoint as Point
from llmops.report import html_report
from llmops.report.plots.narrowing import narrowing_svg

SVG = "{http://www.w3.org/2000/svg}"
F1 = metric("token_f1", 0.05, 0.1, 0.15)


def compared(points: Sequence[Point], *, wider: bool = False) -> Comparison:
    return comparison([F1], trajectories=(Trajectory("token_f1", tuple(points), wider),))


def drawn(points: Sequence[Point], checks: Sequence[Check] | None = None) -> ElementTree.Element:
    asked = None if checks is None else decision(checks)
    return ElementTree.fromstring(narrowing_svg(compared(points), F1, asked))


def lines(root: ElementTree.Element, name: str) -> list[float]:
    """Heights of the level lines of a class."""
    found = [x for x in root.iter(f"{SVG}line") if x.get("class") == name]
    assert all(x.get("y1") == x.get("y2") for x in found)
    return [float(x.get("y1")) for x in found]


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
    assert narrowing_svg(compared(points), F1) == ""


@pytest.mark.parametrize("points", [(), POINTS[:1]])
def test_without_prompts_there_is_no_such_section(points):
    page = html_report(compared(points))
    assert "Interval by number of prompts" not in headings(parse(page))


def test_the_trajectory_of_another_metric_is_not_drawn():
    likelihood = metric("likelihood", 0.05, 0.1, 0.15)
    assert narrowing_svg(compared(POINTS), likelihood) == ""


@pytest.mark.parametrize("wider", [True, False])
def test_the_caption_describes_and_says_if_the_reported_interval_is_another(wider):
    text = text_of(
        section(parse(html_report(compared(POINTS, wider=wider))), "Interval by number of prompts")[
            -1
        ]
    )
    assert "a suite with this fixed number of prompts" in text
    assert "decide nothing" in text
    assert ("The reported interval is wider" in text) is wider
