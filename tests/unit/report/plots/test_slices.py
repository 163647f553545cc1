"""Results by slice: a table with a figure in each row, and no verdict."""

from __future__ import annotations

import pytest
from report_pages import headings, panes, parse, section, table, text_of
from report_records import CHECKS, comparison, decision, rows

from llmops.records import SliceResult, SmallSlice
from llmops.report import html_report
from llmops.report.plots import strip
from llmops.report.plots.slices import MOST, MOST_SMALL
from llmops.report.wording import MINUS


def result(
    value: str, low: float, difference: float, high: float, p: float = 0.5, key: str = "topic"
) -> SliceResult:
    return SliceResult(key, value, 1_040, difference, low, high, p / 2, p, 20, 15, 5)


WORSE = result("billing", -0.3, -0.2, -0.1, 0.003)
BETTER = result("shipping", 0.05, 0.15, 0.25, 0.02)
OPEN = result("accounts", -0.05, 0.05, 0.15, 0.3)


def shown(*slices: SliceResult | SmallSlice):
    page = html_report(comparison(shown=rows(), slices=slices), decision())
    return section(parse(page), "By slice")


def strips(found) -> list:
    return [svg for svg in found.iter("svg") if svg.get("class") == "strip"]


def figures(found) -> list[dict[str, float]]:
    """The ends of each row's interval, and where zero is."""
    made = []
    for svg in strips(found):
        zero, span = svg.iter("line")
        ends = {name: float(span.get(name)) for name in ("x1", "x2")}
        made.append({**ends, "zero": float(zero.get("x1"))})
    return made


def test_each_slice_is_a_row_the_smallest_adjusted_p_first():
    header, *lines = table(shown(OPEN, BETTER, WORSE))
    assert header[0] == "Slice"
    assert header[-2:] == ["p adj.", "Win / tie / loss"]
    assert [line[0] for line in lines] == ["topic billing", "topic shipping", "topic accounts"]
    assert lines[0][1] == "1,040"
    assert lines[0][3].startswith(f"{MINUS}0.200")
    assert lines[0][3].endswith(f"{MINUS}0.300 to {MINUS}0.100")
    assert lines[0][4:] == ["0.003", "20 / 15 / 5"]


def test_intervals_lie_on_their_side_of_zero_on_one_axis():
    worse, better, open_ = figures(shown(WORSE, BETTER, OPEN))
    assert worse["x1"] < worse["x2"] < worse["zero"]
    assert better["zero"] < better["x1"] < better["x2"]
    assert open_["x1"] < open_["zero"] < open_["x2"]
    assert worse["zero"] == better["zero"] == open_["zero"]


def shapes(*slices: SliceResult) -> list[str]:
    return [text_of(svg.find("title"))[0] for svg in strips(shown(*slices))]


def test_only_what_all_slices_together_show_stands_out():
    assert shapes(WORSE, BETTER, OPEN) == ["▼", "▲", "●"]
    assert shapes(result("x", 0.05, 0.15, 0.25, p=0.051)) == ["●"]


def test_the_interval_of_a_single_cluster_does_not_stretch_the_axis():
    alone = result("one", -1.0, 0.1, 1.0, p=0.9)
    (narrow,) = figures(shown(BETTER))
    beside, cut = figures(shown(BETTER, alone))
    assert beside == narrow
    assert 0 <= cut["x1"] < cut["x2"] <= strip.WIDTH
    assert len(figures(shown(alone))) == 1


def test_the_text_says_that_slices_are_no_verdicts():
    text = text_of(shown(OPEN))
    assert "They are hints" in text
    assert "Benjamini–Hochberg" in text  # noqa: RUF001
    assert "at most 0.05" in text


def test_slices_of_too_few_prompts_are_one_line():
    found = shown(OPEN, SmallSlice("topic", "tax", 9), SmallSlice("language", "fr", 1))
    line = text_of(found[-1])
    assert line == "Too few prompts for a test: topic: tax (9), language: fr (1)."
    alone = shown(SmallSlice("topic", "tax", 9))
    assert alone.find(".//table") is None
    assert text_of(alone[-1]).endswith("topic: tax (9).")


def test_many_slices_are_cut_and_counted():
    many = [result(f"value {i}", -0.1, 0.0, 0.1, p=0.9 - i / 1_000) for i in range(MOST + 7)]
    small = [SmallSlice("topic", f"value {i}", 2) for i in range(MOST_SMALL + 5)]
    found = shown(*many, *small)
    lines = table(found)[1:]
    assert len(lines) == MOST
    assert lines[0][0] == f"topic value {MOST + 6}"
    assert "7 more slices are not shown" in text_of(found)
    assert text_of(found[-1]).endswith(f"value {MOST_SMALL - 1} (2), 5 more.")


def test_the_metric_is_the_first_whatever_the_gate_demands_first():
    asked = decision(CHECKS[1:])
    shown = panes(parse(html_report(comparison(shown=rows(), slices=(OPEN,)), asked)))
    assert next(iter(shown)) == "likelihood"
    assert "By slice" not in headings(shown["likelihood"], "h3")
    assert "where token F1 differs" in text_of(section(shown["token F1"], "By slice"))


def test_the_plot_has_an_axis_with_its_directions():
    (axis,) = (svg for svg in shown(WORSE, BETTER).iter("svg") if svg.get("class") == "strip axis")
    labels = [text_of(text) for text in axis.iter("text")]
    assert [text.get("x") for text in axis.iter("text")][:2] == ["2", f"{strip.WIDTH - 2}"], (
        "at its ends: zero may lie so near to one that a name would be cut"
    )
    assert labels[:2] == ["← v2", "v3 →"]
    assert "0" in labels[2:]
    assert f"{MINUS}0.2" in labels[2:]
    (zero,) = {figure["zero"] for figure in figures(shown(WORSE, BETTER))}
    assert zero in [float(text.get("x")) for text in axis.iter("text") if text_of(text) == "0"]


@pytest.mark.parametrize("gate", [decision(), None])
def test_without_slices_there_is_no_such_section(gate):
    assert "By slice" not in headings(parse(html_report(comparison(), gate)), "h3")
