"""Templates escape every value and refuse a missing one."""

from __future__ import annotations

import jinja2
import pytest

from llmops.report.template import render

VALUES = {"width": 10, "height": 10, "floor": 5, "mid": 5, "bars": [], "ticks": []}


def test_values_are_escaped():
    svg = render("plots/histogram.svg.j2", **VALUES, baseline="<b>", candidate="a & b")
    assert "&lt;b&gt;" in svg
    assert "a &amp; b" in svg
    assert "<b>" not in svg


def test_a_missing_value_is_an_error():
    with pytest.raises(jinja2.UndefinedError, match="candidate"):
        render("plots/histogram.svg.j2", **VALUES, baseline="v2")
