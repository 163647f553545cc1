"""The figures: well-formed SVG whose shapes lie where the numbers are."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from report_records import METRICS, comparison, decision, metric

from llmops.report import forest_svg
from llmops.report.plots import scale
from llmops.report.plots.histogram import histogram_svg
from llmops.report.wording import MINUS

SVG = "{http://www.w3.org/2000/svg}"


def parse(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def test_it_fits_the_description_on_white_with_a_row_for_each_metric():
    root = parse(forest_svg(comparison(), decision()))
    assert int(root.get("width")) <= 789
    assert root.find(f"{SVG}rect").get("fill") == "#ffffff"
    assert len([g for g in root.iter(f"{SVG}g") if g.find(f"{SVG}path") is not None]) == 4


def test_results_are_told_by_word_and_shape():
    root = parse(forest_svg(comparison(), decision()))
    texts = [text.text for text in root.iter(f"{SVG}text")]
    for expected in ("▲ improved", "● not shown", "▼ worse", "◆ not worse", "MDE ±0.06"):
        assert expected in texts
    assert len({path.get("d")[-20:] for path in root.iter(f"{SVG}path")}) == 4


def test_intervals_lie_on_their_side_of_the_dashed_zero_line():
    root = parse(forest_svg(comparison(), decision()))
    zero = next(float(x.get("x1")) for x in root.iter(f"{SVG}line") if x.get("stroke-dasharray"))
    spans = [
        (float(line.get("x1")), float(line.get("x2")))
        for line in root.iter(f"{SVG}line")
        if line.get("stroke-linecap")
    ]
    improved, open_, worse, _ = spans
    assert zero < improved[0] < improved[1]
    assert open_[0] < zero < open_[1]
    assert worse[0] < worse[1] < zero


@pytest.mark.parametrize("bounds", [(0, 0, 0), (-1, 0, 1), (1, 1, 1), (-1e-9, 0, 1e-9)])
def test_extreme_intervals_stay_inside_the_plot(bounds):
    root = parse(forest_svg(comparison([metric("token_f1", *bounds)]), decision()))
    for line in root.iter(f"{SVG}line"):
        assert 0 <= float(line.get("x1")) <= float(line.get("x2")) <= 784


def test_it_needs_nothing_from_elsewhere():
    svg = forest_svg(comparison(), decision())
    assert "<script" not in svg
    assert "href" not in svg
    assert svg.count("http") == 1  # the name of the language


def test_the_metric_of_the_first_demand_stands_out():
    svg = forest_svg(comparison(METRICS), decision())
    assert svg.count('<g font-weight="600">') == 1


def test_ticks_are_few_round_and_hold_zero():
    for low, high in [(-1, 1), (-0.013, 0.004), (0.0, 0.36), (-0.62, 0.0)]:
        ticks = scale.Scale(low, high, 0, 100).ticks()
        assert 0 in ticks
        assert 2 <= len(ticks) <= 7


@pytest.mark.parametrize("most", [1, 2, 7, 12, 99, 120, 240, 999, 10_000, 123_456])
def test_ticks_of_counts_are_few_round_and_begin_with_zero(most):
    ticks = scale.count_ticks(most)
    assert ticks[0] == 0
    assert 2 <= len(ticks) <= 7
    assert ticks[-1] <= most
    assert str(ticks[1]).rstrip("0") in ("1", "2", "5")


def test_the_histogram_counts_every_prompt_once_and_ties_apart():
    values = [0.0] * 7 + [0.05, 0.1, 0.100001, 1.0] + [-0.05, -1.0]
    root = parse(histogram_svg(values, baseline="v2", candidate="v3"))
    titles = [g.find(f"{SVG}title").text for g in root.iter(f"{SVG}g")]
    assert titles == [
        f"1 {MINUS}1 to {MINUS}0.9",
        f"1 {MINUS}0.1 to 0",
        "7 tied",
        "2 0 to +0.1",
        "1 +0.1 to +0.2",
        "1 +0.9 to +1",
    ]


@pytest.mark.parametrize("values", [[], [0.0], [0.0] * 5, [1e-12, -1e-12]])
def test_a_histogram_without_spread_is_drawn(values):
    parse(histogram_svg(values, baseline="v2", candidate="v3"))
