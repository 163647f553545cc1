"""Win rates at equal lengths: against statsmodels, against known truths, and on next to nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import special

from llmops.stats.length import RIDGE, LengthAdjusted, length_adjusted
from llmops.stats.units import Floats


def drawn(
    rng: np.random.Generator, n: int, intercept: float, slope: float, longer: float
) -> tuple[Floats, Floats, Floats]:
    """Wins by the model itself; the candidate's answers are longer by so many words."""
    before = rng.integers(20, 200, n).astype(float)
    after = np.maximum(0, before + longer + rng.integers(-60, 60, n))
    term = np.tanh((after - before) / (after - before).std(ddof=1))
    won = rng.random(n) < special.expit(intercept + slope * term)
    return np.where(won, 1.0, -1.0), before, after


def test_against_statsmodels() -> None:
    rng = np.random.default_rng(1)
    preferences, before, after = drawn(rng, 300, 0.2, 1.0, 20)
    preferences[::5] = 0.0
    found = length_adjusted(preferences, before, after)
    difference = after - before
    design = sm.add_constant(np.tanh(difference / difference.std(ddof=1)))
    model = sm.GLM((1 + preferences) / 2, design, family=sm.families.Binomial())
    ridge = model.fit_regularized(
        alpha=np.array([0.0, RIDGE / 300]), L1_wt=0.0, maxiter=500, cnvrg_tol=1e-12
    )
    assert found.adjusted == pytest.approx(special.expit(ridge.params[0]), abs=1e-5)
    assert found.slope == pytest.approx(ridge.params[1], abs=1e-4)
    plain = model.fit()
    assert found.adjusted == pytest.approx(special.expit(plain.params[0]), abs=2e-3)
    assert found.raw == (1 + preferences).mean() / 2


@pytest.mark.parametrize("longer", [-30, 0, 40])
def test_the_rate_at_equal_lengths_is_found(longer: float) -> None:
    rng = np.random.default_rng(2)
    found = [length_adjusted(*drawn(rng, 800, 0.4, 2.0, longer)) for _ in range(200)]
    adjusted = np.array([one.adjusted for one in found])
    assert adjusted.mean() == pytest.approx(special.expit(0.4), abs=0.01)
    if longer:
        raw = np.mean([one.raw for one in found])
        assert abs(raw - special.expit(0.4)) > 0.05


def test_a_win_by_length_alone_is_told() -> None:
    rng = np.random.default_rng(3)
    found = length_adjusted(*drawn(rng, 2_000, -0.8, 3.0, 60))
    assert found.raw > 0.5 > found.adjusted
    assert found.contradicts
    assert found.candidate_longer > 0.8
    assert found.slope > 2


@pytest.mark.parametrize(
    ("wins", "reliable"), [(7, False), (8, True), (20, True), (32, True), (33, False), (40, False)]
)
def test_a_lopsided_rate_is_not_adjusted_reliably(wins: int, reliable: bool) -> None:
    rng = np.random.default_rng(8)
    preferences = [1] * wins + [-1] * (40 - wins)
    found = length_adjusted(preferences, rng.integers(1, 90, 40), rng.integers(1, 90, 40))
    assert found.is_reliable is reliable
    mirrored = LengthAdjusted(1 - found.raw, 1 - found.adjusted, found.slope, 40, 0.5)
    assert mirrored.is_reliable is reliable
    assert not LengthAdjusted(0.9, 0.4, 1.0, 40, 0.5).contradicts
    assert not LengthAdjusted(math.nan, math.nan, 0.0, 0, math.nan).is_reliable


def test_a_win_at_any_length_is_none_by_length() -> None:
    rng = np.random.default_rng(4)
    found = length_adjusted(*drawn(rng, 2_000, 1.0, 0.0, 60))
    assert found.raw == pytest.approx(found.adjusted, abs=0.04)
    assert not found.contradicts


def test_swapping_the_sides_mirrors_everything() -> None:
    preferences, before, after = drawn(np.random.default_rng(5), 150, 0.5, 1.5, 25)
    one = length_adjusted(preferences, before, after)
    other = length_adjusted(-preferences, after, before)
    assert other.raw == pytest.approx(1 - one.raw)
    assert other.adjusted == pytest.approx(1 - one.adjusted, abs=1e-6)
    assert other.slope == pytest.approx(one.slope, abs=1e-5)


def test_the_unit_of_length_does_not_matter() -> None:
    preferences, before, after = drawn(np.random.default_rng(6), 150, 0.5, 1.5, 25)
    one = length_adjusted(preferences, before, after)
    other = length_adjusted(preferences, before * 1e6, after * 1e6)
    assert other.adjusted == pytest.approx(one.adjusted, abs=1e-6)


def test_no_pairs() -> None:
    found = length_adjusted([], [], [])
    assert math.isnan(found.raw)
    assert math.isnan(found.adjusted)
    assert math.isnan(found.candidate_longer)
    assert (found.n, found.contradicts) == (0, False)


@pytest.mark.parametrize("preference", [-1, 0, 1])
def test_one_pair(preference: int) -> None:
    found = length_adjusted([preference], [3], [9])
    assert found == LengthAdjusted((1 + preference) / 2, (1 + preference) / 2, 0.0, 1, 1.0)


@pytest.mark.parametrize("preferences", [(1, -1), (1, 0), (0, -1), (-1, 1)])
def test_two_pairs(preferences: tuple[int, int]) -> None:
    found = length_adjusted(preferences, [10, 10], [20, 5])
    assert 0 < found.adjusted < 1
    assert math.isfinite(found.slope)
    assert found.n == 2


@pytest.mark.parametrize("preference", [-1, 0, 1])
def test_outcomes_that_never_differ_are_not_explained_by_length(preference: int) -> None:
    found = length_adjusted([preference] * 40, range(40), range(0, 80, 2))
    assert (found.raw, found.adjusted) == ((1 + preference) / 2,) * 2
    assert not found.contradicts


@pytest.mark.parametrize("longer", [0, 7, 0.1])
def test_lengths_that_always_differ_alike_explain_nothing(longer: float) -> None:
    before = np.linspace(0.3, 90, 30)
    found = length_adjusted([1, -1, 1] * 10, before, before + longer)
    assert found.adjusted == found.raw == pytest.approx(2 / 3)
    assert found.slope == 0.0


def test_separation_by_length_has_a_finite_slope() -> None:
    # The longer answer always wins: without the ridge the slope is infinite.
    longer = np.array([*range(1, 31), *range(-10, 0)], dtype=float)
    found = length_adjusted(np.sign(longer), np.full(40, 50.0), 50 + longer)
    assert found.raw == 0.75
    assert 5 < found.slope < 50
    assert found.adjusted == pytest.approx(0.5, abs=0.2)


def test_extreme_lengths_are_finite() -> None:
    for scale in (1e-11, 1e14):
        found = length_adjusted([1, -1, 1, 0], [0, 0, 0, 0], np.array([1, 2, 3, 9]) * scale)
        assert 0 < found.adjusted < 1


@pytest.mark.parametrize(
    ("raw", "adjusted", "contradicts"),
    [
        (0.6, 0.4, True),
        (0.4, 0.6, True),
        (0.6, 0.51, False),
        (0.6, 0.5, False),
        (0.5, 0.4, False),
        (0.6, 0.5 - 1e-12, False),
        (math.nan, math.nan, False),
    ],
)
def test_sides_of_one_half(raw: float, adjusted: float, contradicts: bool) -> None:
    assert LengthAdjusted(raw, adjusted, 0.0, 9, 0.5).contradicts is contradicts


@pytest.mark.parametrize(
    ("preferences", "before", "after", "said"),
    [
        ([1, 1], [1], [1, 2], "2 preferences, 1 and 2 lengths"),
        ([2], [1], [1], "preferences: expected numbers from -1 to 1"),
        ([math.nan], [1], [1], "preferences"),
        ([1], [-1], [1], "baseline_lengths: expected numbers from 0"),
        ([1], [1], [math.inf], "candidate_lengths"),
        ([[1]], [1], [1], "one dimension"),
    ],
)
def test_what_is_refused(preferences: object, before: object, after: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        length_adjusted(preferences, before, after)
