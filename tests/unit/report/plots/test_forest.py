"""The figures: well-formed SVG whose shapes lie where the numbers are."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from report_records import METRICS, comparison, decision, metric

from llmops.report import forest_svg

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
    for expected in ("▲ improved", "● not shown", "▼ worse", "◆ not worse"):
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
