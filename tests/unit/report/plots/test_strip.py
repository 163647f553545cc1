"""Small figures over one axis: everything lies within them, and zero has a label."""

from __future__ import annotations

import pytest

from llmops.report.plots import strip


@pytest.mark.parametrize(
    "ends",
    [(-1.0, 0.0, 1.0), (0.0, 0.0, 0.0), (0.2, 0.3, 0.4), (-1e-6, 0.0, 1e-6), (-0.9, 0.0, 0.1)],
)
def test_intervals_and_labels_lie_within(ends: tuple[float, float, float]) -> None:
    axis = strip.axis_of(ends)
    frame, row = strip.frame(axis), strip.row(axis, ends, "●", "open")
    assert 0 <= row["low"] <= row["high"] <= strip.WIDTH
    assert 1 <= len(frame["ticks"]) <= strip.MOST_TICKS
    assert (frame["zero"], "0") in frame["ticks"]
    assert all(0 < x < strip.WIDTH for x, _ in frame["ticks"])
