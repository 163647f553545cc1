"""Positions on a plot, and the numbers on its axis."""

from __future__ import annotations

import pytest

from llmops.report.plots import scale
from llmops.report.wording import MINUS


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


def test_values_outside_fall_on_the_ends():
    axis = scale.Scale(-1, 1, 100, 300)
    assert [axis(value) for value in (-9, -1, 0, 0.5, 9)] == [100, 100, 200, 250, 300]


@pytest.mark.parametrize("values", [[], [0.0], [float("nan"), float("inf")], [1e-9]])
def test_a_scale_always_has_a_width_and_holds_zero(values):
    axis = scale.around_zero(values, left=0, right=100)
    assert axis.low < 0 < axis.high


def test_a_scale_holds_its_values_with_room():
    axis = scale.around_zero([0.1, 0.4], left=0, right=100)
    assert axis.low < 0
    assert 0.4 < axis.high < 0.5


@pytest.mark.parametrize(
    ("value", "step"), [(0.0, 0.001), (0.003, 0.005), (0.05, 0.05), (0.3, 0.5), (7.0, 1.0)]
)
def test_steps_are_round(value, step):
    assert scale.round_up(value) == step


def test_a_tick_has_a_sign_unless_it_is_zero():
    assert [scale.tick_label(value) for value in (0.0, 0.25, -0.1)] == ["0", "+0.25", f"{MINUS}0.1"]
