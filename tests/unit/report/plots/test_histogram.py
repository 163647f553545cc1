"""The histogram: well-formed SVG that counts every prompt."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from llmops.report.plots.histogram import histogram_svg
from llmops.report.wording import MINUS

SVG = "{http://www.w3.org/2000/svg}"


def parse(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


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
