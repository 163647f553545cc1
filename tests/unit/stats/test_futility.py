"""When a margin is out of reach."""

from __future__ import annotations

import numpy as np

from llmops.stats.futility import is_futile
from llmops.stats.units import units_of


def test_a_large_loss_is_out_of_reach_and_a_small_one_is_not() -> None:
    rng = np.random.default_rng(1)
    large = units_of(rng.normal(-0.2, 0.1, 200).clip(-1, 1))
    small = units_of(rng.normal(-0.04, 0.1, 200).clip(-1, 1))
    assert is_futile(large, -0.05, 0.5, 0.025)
    assert not is_futile(small, -0.05, 0.5, 0.025)


def test_a_mean_above_the_bar_is_never_futile() -> None:
    noisy = units_of([-1.0, 1.0] * 20)
    assert not is_futile(noisy, -0.05, 0.99, 0.025)


def test_one_unit_or_no_spread_decides_only_what_is_certain() -> None:
    assert not is_futile(units_of([-0.9]), -0.05, 0.5, 0.025)
    assert is_futile(units_of([-0.9] * 10), -0.05, 0.5, 0.025)


def test_fewer_prompts_left_make_a_loss_final_sooner() -> None:
    rng = np.random.default_rng(3)
    units = units_of(rng.normal(-0.07, 0.2, 300).clip(-1, 1))
    assert not is_futile(units, -0.05, 0.1, 0.025)
    assert is_futile(units, -0.05, 0.99, 0.025)
