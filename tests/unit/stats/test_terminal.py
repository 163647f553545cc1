from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import optimize

from llmops.stats.exact import mcnemar
from llmops.stats.paired import cluster_interval
from llmops.stats.terminal import interval, p_above
from llmops.stats.units import Units, units_of

ALPHA = 0.05
REPEATS = 2_000
NOISE = 3 * math.sqrt(ALPHA * (1 - ALPHA) / REPEATS)


def outcome(wins: int, ties: int, losses: int) -> Units:
    return units_of([1.0] * wins + [0.0] * ties + [-1.0] * losses)


@pytest.mark.parametrize(("wins", "ties", "losses"), [(12, 80, 8), (1, 90, 9), (30, 30, 60)])
def test_the_score_interval_by_maximising_the_likelihood(wins: int, ties: int, losses: int) -> None:
    # At either end the observed mean is z standard errors away, the error being that of the
    # likeliest trinomial with the supposed mean, found here by search instead of a formula.
    n, z = wins + ties + losses, 1.6448536269514722
    low, high = interval(outcome(wins, ties, losses), ALPHA)
    for mean in (low, high):

        def unlikelihood(loss: float, mean: float = mean) -> float:
            win = loss + mean
            tie = 1 - win - loss
            if min(win, loss, tie) <= 0:
                return math.inf
            return -(wins * math.log(win) + losses * math.log(loss) + ties * math.log(tie))

        smallest, largest = max(0.0, -mean), (1 - mean) / 2
        loss = optimize.minimize_scalar(
            unlikelihood, bounds=(smallest, largest), method="bounded", options={"xatol": 1e-12}
        ).x
        variance = 2 * loss + mean - mean**2
        score = ((wins - losses) / n - mean) / math.sqrt(variance / n)
        if mean != 0.0:  # an end that was moved to 0 by the exact test is not the score's
            assert abs(score) == pytest.approx(z, abs=1e-4)


def test_it_never_contradicts_the_exact_test() -> None:
    for wins, losses in ((5, 0), (4, 0), (12, 4), (10, 4), (30, 18), (60, 41)):
        low, _ = interval(outcome(wins, 100, losses), ALPHA)
        assert (low > 0) <= (mcnemar(wins, losses, alternative="greater") <= ALPHA)


def test_both_sides_are_mirrored() -> None:
    for values in ([0.3, -0.2, 0.7, 0.1, 0.0] * 8, [1.0, 0.0, -1.0, 0.0, 1.0] * 8):
        low, high = interval(units_of(values), 0.1)
        turned = interval(units_of([-v for v in values]), 0.1)
        assert turned == pytest.approx((-high, -low))


def test_symmetric_scores_get_the_paired_t_interval() -> None:
    values = [0.4, -0.4, 0.1, -0.1, 0.25, -0.25, 0.9, -0.9] * 5
    units = units_of(values)
    plain, _ = cluster_interval(units.sums, units.sizes, 1 - 2 * ALPHA)
    assert interval(units, ALPHA) == pytest.approx((plain.low, plain.high))


@pytest.mark.parametrize("values", [[], [1.0], [0.5]])
def test_one_prompt_says_nothing(values: list[float]) -> None:
    assert interval(units_of(values), ALPHA) == (-1.0, 1.0)
    assert p_above(units_of(values), -0.05) == 1.0


@pytest.mark.parametrize(
    "values", [[0.0] * 40, [1.0] * 40, [-1.0] * 40, [0.3] * 40, [1.0, -1.0], [0.0, 0.0]]
)
def test_degenerate_scores_have_an_interval(values: list[float]) -> None:
    low, high = interval(units_of(values), ALPHA)
    assert -1 <= low <= np.mean(values) <= high <= 1
    assert high - low > 0.01


@pytest.mark.parametrize("size", [1, 2, 5])
def test_scores_that_differ_by_rounding_alone_are_alike(size: int) -> None:
    for n in range(2, 40):
        clusters = [str(i // size) for i in range(n)]
        low, high = interval(units_of([0.0476] * n, clusters, [0.5] * n), ALPHA)
        assert low <= 0.0476 <= high


def test_one_cluster_says_nothing() -> None:
    assert interval(units_of([0.5] * 30, ["only"] * 30), ALPHA) == (-1.0, 1.0)


def test_p_is_where_the_interval_ceases_to_exclude() -> None:
    units = outcome(20, 170, 12)
    p = p_above(units, -0.05)
    assert interval(units, p * 1.001)[0] > -0.05 >= interval(units, p * 0.999)[0]
    assert p_above(units, 0.5) == 1.0


def passes(draw: Callable[[np.random.Generator], Units], margin: float) -> float:
    rng = np.random.default_rng(11)
    return sum(interval(draw(rng), ALPHA, draws=99)[0] > -margin for _ in range(REPEATS)) / REPEATS


@pytest.mark.parametrize("q", [0.05, 0.1, 0.3])
@pytest.mark.parametrize("n", [100, 300])
def test_a_loss_of_the_margin_rarely_passes(n: int, q: float) -> None:
    # The t interval passes 12% at q = .05, n = 100: nothing but rare losses.
    def draw(rng: np.random.Generator) -> Units:
        wins, losses, _ = rng.multinomial(n, [(q - 0.05) / 2, (q + 0.05) / 2, 1 - q])
        return outcome(wins, n - wins - losses, losses)

    assert passes(draw, 0.05) <= ALPHA + NOISE


def test_rare_bad_answers_among_small_changes_rarely_pass() -> None:
    # The t interval passes 9%.
    def draw(rng: np.random.Generator) -> Units:
        bad = (rng.random(200) < 0.075) * rng.beta(2, 1, 200)
        return units_of(np.clip(rng.uniform(-0.02, 0.02, 200) - bad, -1, 1))

    assert passes(draw, 0.05) <= ALPHA + NOISE


def test_clusters_that_fail_together_rarely_pass() -> None:
    # The t interval of paired.py passes 18%: one cluster in eight loses .8.
    def draw(rng: np.random.Generator) -> Units:
        sizes = np.ceil(np.exp(rng.normal(1, 0.5, 80)))
        means = -0.8 * (rng.random(80) < 0.125)
        sums = sizes * means + rng.normal(0, 0.05, 80)
        return Units(sums, sizes, sizes + sums, sizes - sums)

    assert passes(draw, 0.1) <= ALPHA + NOISE


@pytest.mark.parametrize("margin", [0.02, 0.05])
def test_failures_where_most_is_at_stake_rarely_pass(margin: float) -> None:
    # Half of the baseline's answers are worthless: only the other half has something to lose.
    def draw(rng: np.random.Generator) -> Units:
        before = np.where(rng.random(80) < 0.5, 0.99, 0.0)
        after = np.where(rng.random(80) < 2 * margin / 0.99, 0.0, before)
        return units_of(after - before, None, after)

    assert passes(draw, margin) <= ALPHA + NOISE


def test_what_is_not_there_cannot_be_lost() -> None:
    # Small scores, such as likelihoods: no answer can lose more than it has.
    scores = np.random.default_rng(5).uniform(0, 0.05, 40)
    gains = np.full(40, 0.001) + np.random.default_rng(6).uniform(-0.001, 0.001, 40)
    free, _ = interval(units_of(gains), ALPHA)
    known, _ = interval(units_of(gains, None, scores), ALPHA)
    assert free < -0.05 < -0.005 < known < gains.mean()


def test_what_was_not_seen_may_still_be() -> None:
    # 40 clusters, none of which failed: a failure may come to 1 in 14 all the same.
    noise = np.random.default_rng(5).uniform(-0.02, 0.02, 40)
    low, high = interval(units_of(noise), ALPHA)
    unseen = 1 - ALPHA ** (1 / 40)
    assert low == pytest.approx(noise.mean() - unseen * (1 + noise.mean()))
    assert high == pytest.approx(noise.mean() + unseen * (1 - noise.mean()))
