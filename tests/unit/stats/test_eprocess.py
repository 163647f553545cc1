from __future__ import annotations

import math

import numpy as np
import pytest

from llmops.stats.eprocess import BETS, EProcess, confidence_sequence, log_e_values

ALPHA = 0.05


def ternary(rng: np.random.Generator, shape: tuple[int, ...], mean: float, q: float) -> np.ndarray:
    uniform = rng.random(shape)
    return np.where(uniform < (q + mean) / 2, 1.0, np.where(uniform < q, -1.0, 0.0))


def test_the_wealth_is_the_product_written_out() -> None:
    differences, bound = [1.0, -0.5, 0.25], -0.1
    for count in (1, 2, 3):
        wealth = [
            math.prod(1 + bet * (d - bound) / (1 + bound) for d in differences[:count])
            for bet in BETS
        ]
        found = log_e_values(differences, bound)[count - 1]
        assert math.exp(found) == pytest.approx(sum(wealth) / len(wealth), rel=1e-12)


@pytest.mark.parametrize("mirrored", [False, True])
def test_blocks_and_the_whole_agree(mirrored: bool) -> None:
    rng = np.random.default_rng(1)
    values, weights = rng.uniform(-1, 1, 100), rng.uniform(0.1, 1, 100)
    process = EProcess(0.2, mirrored=mirrored)
    sign = -1 if mirrored else 1
    whole = log_e_values(sign * values, sign * 0.2, weights)
    for start in range(0, 100, 20):
        part = slice(start, start + 20)
        assert process.look(values[part], weights[part]) == pytest.approx(whole[start + 19])
    assert process.largest == pytest.approx(max(0.0, *whole[19::20]))


def test_under_the_null_the_wealth_is_fair() -> None:
    # E[wealth] = 1 exactly if the mean is the bound: over all 3^5 ternary sequences, weighted.
    win, loss, bound = 0.2, 0.3, -0.1
    chance = {1.0: win, -1.0: loss, 0.0: 1 - win - loss}
    sequences = np.array(np.meshgrid(*[list(chance)] * 5)).reshape(5, -1).T
    probability = np.prod(np.vectorize(chance.get)(sequences), axis=1)
    assert probability @ np.exp(log_e_values(sequences, bound)[:, -1]) == pytest.approx(1)


def test_the_worst_differences_leave_some_wealth() -> None:
    for bound in (-0.999, 0.0, 0.999):
        assert np.isfinite(log_e_values([-1.0] * 50, bound)).all()


def test_looking_at_every_prompt_keeps_the_level() -> None:
    rng = np.random.default_rng(2)
    for mean, q in ((0.0, 0.3), (-0.05, 0.05), (-0.05, 0.3)):
        drawn = ternary(rng, (2_000, 500), mean, q)
        rejected = (log_e_values(drawn, mean).max(axis=1) >= -math.log(ALPHA)).mean()
        assert rejected <= ALPHA + 3 * math.sqrt(ALPHA / 2_000), (mean, q)


def test_clusters_whose_size_goes_with_their_effect_keep_the_level() -> None:
    # Small clusters gain .3, clusters of five lose .06: over prompts the mean is exactly 0, over
    # clusters it is +.12, and unweighted cluster means would prove a gain that prompts do not have.
    rng = np.random.default_rng(3)
    large = rng.random((1_000, 400)) < 0.5
    noise = rng.uniform(-0.2, 0.2, large.shape)
    means, weights = np.where(large, -0.06, 0.3) + noise, np.where(large, 1.0, 0.2)
    needed = -math.log(ALPHA)
    assert (log_e_values(means, 0.0, weights).max(axis=1) >= needed).mean() <= 0.07
    assert (log_e_values(means, 0.0).max(axis=1) >= needed).mean() > 0.9


def test_it_finds_an_effect() -> None:
    drawn = ternary(np.random.default_rng(4), (300, 1_000), 0.12, 0.3)
    assert (log_e_values(drawn, 0.0).max(axis=1) >= -math.log(ALPHA)).mean() > 0.97


def test_the_interval_is_what_is_not_refuted() -> None:
    values = ternary(np.random.default_rng(5), (300,), 0.1, 0.4)
    low, high = confidence_sequence(values, ALPHA)
    needed = -math.log(ALPHA)
    assert low < values.mean() < high
    assert log_e_values(values, low - 1e-6).max() >= needed > log_e_values(values, low + 1e-6).max()
    mirrored = -values
    assert log_e_values(mirrored, -high - 1e-6).max() >= needed
    assert log_e_values(mirrored, -high + 1e-6).max() < needed


def test_more_looks_only_shorten_the_interval() -> None:
    values = np.random.default_rng(6).uniform(-0.5, 0.7, 200)
    ends = [confidence_sequence(values, ALPHA, looks=looks) for looks in ([200], [50, 200], None)]
    lows, highs = zip(*ends, strict=True)
    assert sorted(lows) == list(lows)
    assert sorted(highs, reverse=True) == list(highs)


def test_the_interval_covers_at_all_looks_together() -> None:
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(200):
        low, high = confidence_sequence(rng.beta(2, 3, 150) - rng.beta(2, 3, 150), 0.05)
        covered += low <= 0 <= high
    assert covered / 200 >= 0.85


@pytest.mark.parametrize("values", [[], [0.0], [1.0], [-1.0]])
def test_little_is_little(values: list[float]) -> None:
    low, high = confidence_sequence(values, ALPHA)
    assert low <= -0.9
    assert high >= 0.9


def test_ties_alone_narrow_slowly() -> None:
    low, high = confidence_sequence([0.0] * 90, ALPHA)
    assert low == pytest.approx(-high)
    assert -0.06 < low < -0.03


@pytest.mark.parametrize("bound", [-1.0, 1.0, 1.5, math.nan])
def test_a_bound_that_cannot_be_bet_on_is_refused(bound: float) -> None:
    with pytest.raises(ValueError, match="bound"):
        EProcess(bound)
    with pytest.raises(ValueError, match="bound"):
        log_e_values([0.0], bound)
