from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from llmops.records import PairedTest
from llmops.stats import paired_test


def scores(seed: int, n: int) -> tuple[list[float], list[float]]:
    rng = np.random.default_rng(seed)
    before = rng.uniform(0, 1, n)
    after = np.clip(before + rng.normal(0.05, 0.2, n), 0, 1)
    return before.tolist(), after.tolist()


def of_differences(differences: list[float], clusters: list[str] | None = None) -> PairedTest:
    return paired_test(
        [max(0.0, -d) for d in differences], [max(0.0, d) for d in differences], clusters
    )


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
@pytest.mark.parametrize(("seed", "n"), [(1, 2), (2, 3), (3, 10), (4, 57), (5, 400)])
def test_without_clusters_it_is_the_paired_t_test(seed: int, n: int, confidence: float) -> None:
    before, after = scores(seed, n)
    expected = stats.ttest_rel(after, before)
    interval = expected.confidence_interval(confidence)
    for clusters in (None, [f"own-{i}" for i in range(n)]):
        found = paired_test(before, after, clusters, confidence=confidence)
        assert found.p_value == pytest.approx(expected.pvalue, abs=1e-9)
        assert found.low == pytest.approx(max(-1, interval.low), abs=1e-9)
        assert found.high == pytest.approx(min(1, interval.high), abs=1e-9)
        assert found.difference == pytest.approx(np.mean(after) - np.mean(before), abs=1e-12)
        assert (found.n, found.clusters) == (n, n)


def test_clusters_of_one_size_by_hand() -> None:
    # Cluster means .2, .3, .7: mean .4, deviations -.2, -.1, .3, squares .14 in sum; the squared
    # error is .14 / (3 * 2). For two degrees of freedom the t distribution has a closed form:
    # P(|T| > t) = 1 - t / sqrt(2 + t^2), and its quantile for c is c * sqrt(2 / (1 - c^2)).
    # OLS on a constant with errors clustered (statsmodels, cov_type="cluster") gives the same
    # error, 0.15275252.
    error = math.sqrt(0.14 / 6)
    t = 0.4 / error
    half = 0.95 * math.sqrt(2 / (1 - 0.95**2)) * error
    found = of_differences([0.1, 0.3, 0.2, 0.4, 0.6, 0.8], list("aabbcc"))
    assert error == pytest.approx(0.15275252)
    assert found.difference == pytest.approx(0.4)
    assert found.p_value == pytest.approx(1 - t / math.sqrt(2 + t * t), abs=1e-12)
    assert found.low == pytest.approx(0.4 - half, abs=1e-12)
    assert found.high == 1.0
    assert (found.n, found.clusters, found.wins, found.ties, found.losses) == (6, 3, 6, 0, 0)


def test_clusters_of_different_sizes_by_leaving_one_out() -> None:
    clusters = {"a": [0.5], "b": [-0.2, 0.1], "c": [0.3, 0.4, 0.0], "d": [0.2, -0.1, 0.6, 0.3]}
    names = [name for name, values in clusters.items() for _ in values]
    everything = [value for values in clusters.values() for value in values]
    mean = sum(everything) / 10
    without = []
    for left_out in clusters:
        rest = [v for name, values in clusters.items() if name != left_out for v in values]
        without.append(sum(rest) / len(rest))
    error = math.sqrt(3 / 4 * sum((value - mean) ** 2 for value in without))
    freedom = 10**2 / (1 + 4 + 9 + 16) - 1
    half = stats.t.ppf(0.975, freedom) * error
    found = of_differences(everything, names)
    assert found.p_value == pytest.approx(2 * stats.t.sf(mean / error, freedom), abs=1e-9)
    assert (found.low, found.high) == pytest.approx((mean - half, mean + half), abs=1e-9)


def test_clusters_of_copies_are_worth_one_prompt_each() -> None:
    before, after = scores(7, 20)
    once = paired_test(before, after)
    copied = paired_test(before * 5, after * 5, [str(i) for i in range(20)] * 5)
    assert (copied.low, copied.high) == pytest.approx((once.low, once.high), abs=1e-9)
    assert copied.p_value == pytest.approx(once.p_value, abs=1e-9)
    assert (copied.n, copied.clusters) == (100, 20)


def test_order_and_names_do_not_matter_and_sides_are_symmetric() -> None:
    before, after = scores(8, 30)
    clusters = [f"c{i % 7}" for i in range(30)]
    found = paired_test(before, after, clusters)
    swapped = paired_test(after, before, clusters)
    assert (swapped.low, swapped.high) == pytest.approx((-found.high, -found.low), abs=1e-12)
    assert swapped.p_value == pytest.approx(found.p_value, abs=1e-12)
    assert (swapped.wins, swapped.losses) == (found.losses, found.wins)
    turned = paired_test(before[::-1], after[::-1], [f"other {c}" for c in clusters[::-1]])
    assert (turned.low, turned.high) == pytest.approx((found.low, found.high), abs=1e-12)


@pytest.mark.parametrize(
    "differences",
    [
        [0.0] * 40,
        [1.0] * 40,
        [-1.0] * 6,
        [1.0] * 5,
        [0.25] * 9,
        [0.0] * 96 + [1.0] * 4,
        [0.0] * 95 + [-1.0] * 5,
        [0.0] * 90 + [1.0] * 10,
        [0.5] * 30 + [-0.5] * 2,
        [0.1] * 30 + [-1.0] * 4,
        [0.2, 0.3, 0.1, -0.1],
        [0.01, -0.02, 0.03] * 10,
    ],
    ids=lambda values: f"{len(values)}-{sum(values):.2f}",
)
def test_the_interval_leaves_out_zero_where_p_is_small(differences: list[float]) -> None:
    for confidence in (0.5, 0.8, 0.9, 0.95, 0.99, 0.999):
        found = paired_test(
            [max(0.0, -d) for d in differences],
            [max(0.0, d) for d in differences],
            confidence=confidence,
        )
        outside = found.low > 0 or found.high < 0
        assert outside == (found.p_value < 1 - confidence), confidence
        assert found.low <= found.difference <= found.high


def test_ties_alone_leave_open_what_a_binomial_bound_leaves_open() -> None:
    found = of_differences([0.0] * 60)
    limit = stats.binomtest(0, 60).proportion_ci(0.95, method="exact").high
    assert (found.low, found.high) == pytest.approx((-limit, limit))
    assert found.p_value == 1.0
    assert found.detectable == pytest.approx(limit)
    assert found.ties == 60


def test_a_loss_among_ties_is_bounded_as_a_rare_event() -> None:
    found = of_differences([-1.0] + [0.0] * 99)
    limit = stats.binomtest(1, 100).proportion_ci(0.95, method="exact").high
    assert found.low == pytest.approx(-limit)
    assert found.high == pytest.approx(stats.binomtest(0, 100).proportion_ci(0.95).high)


@pytest.mark.parametrize("size", [0.1, 0.5, 1.0])
def test_losses_never_look_better_than_none(size: float) -> None:
    # The t interval of one loss among 99 ties ends at -0.030, that of 100 ties (bounded by its
    # own rule) at -0.036: a gate with a margin between the two would pass only the worse model.
    lows = [of_differences([-size] * k + [0.0] * (100 - k)).low for k in range(6)]
    assert lows == sorted(lows, reverse=True)
    assert len(set(lows)) == 6


def test_a_few_gains_among_ties_prove_nothing() -> None:
    # The t test calls 4 gains and 96 ties significant (p = .045); the exact sign test says .125.
    assert stats.ttest_1samp([1.0] * 4 + [0.0] * 96, 0).pvalue < 0.05
    found = of_differences([1.0] * 4 + [0.0] * 96)
    assert found.p_value >= stats.binomtest(4, 4).pvalue
    assert found.low < 0 < found.high


@pytest.mark.parametrize("n", [2, 5, 6, 12])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_gains_alone_are_the_sign_test(n: int, sign: float) -> None:
    found = of_differences([sign] * n)
    assert found.p_value == pytest.approx(min(1.0, stats.binomtest(n, n).pvalue))
    assert found.difference == sign


def test_a_constant_difference_is_no_proof_of_zero_spread() -> None:
    # In floating point these differences are not equal: their spread of 1e-17 once made p = 0.
    found = paired_test([0.2, 0.8, 0.1], [0.3, 0.9, 0.2])
    assert found.difference == pytest.approx(0.1)
    assert found.p_value > 0.5
    assert found.low < 0
    assert found.p_value == paired_test([0.5] * 3, [0.6] * 3).p_value


def test_clusters_that_agree_while_their_prompts_do_not() -> None:
    # Every cluster's differences add up to zero: the error is 0, and the interval once was [0, 0].
    found = of_differences([0.5, -0.5] * 10, [str(i // 2) for i in range(20)])
    limit = stats.binomtest(0, 10).proportion_ci(0.95).high
    assert (found.low, found.high) == pytest.approx((-limit, limit))
    assert found.p_value == 1.0


@pytest.mark.parametrize("clusters", [None, ["only"]])
def test_one_pair_says_nothing(clusters: list[str] | None) -> None:
    found = paired_test([0.0], [1.0], clusters)
    assert (found.low, found.high, found.p_value, found.detectable) == (-1.0, 1.0, 1.0, 1.0)
    assert (found.n, found.clusters, found.wins) == (1, 1, 1)


def test_one_cluster_says_nothing_however_large() -> None:
    found = paired_test([0.0] * 50, [1.0] * 50, ["only"] * 50)
    assert (found.low, found.high, found.p_value) == (-1.0, 1.0, 1.0)
    assert (found.n, found.clusters) == (50, 1)


def test_two_pairs_say_little() -> None:
    found = paired_test([0.0, 0.0], [1.0, 0.5])
    assert (found.low, found.high) == (-1.0, 1.0)
    assert 0.05 < found.p_value < 1
    assert found.detectable == 1.0


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: paired_test([], []), "at least one score"),
        (lambda: paired_test([0.5], []), "candidate: expected at least one"),
        (lambda: paired_test([0.5, 0.5], [0.5]), "unpaired scores: 2 baseline, 1 candidate"),
        (lambda: paired_test([0.5, math.nan], [0.5, 0.5]), "baseline: scores must be numbers"),
        (lambda: paired_test([0.5], [math.inf]), "candidate: scores must be numbers"),
        (lambda: paired_test([0.5], [1.01]), r"candidate: scores must be numbers in \[0, 1\]"),
        (lambda: paired_test([-0.01], [0.5]), "baseline: scores must be numbers"),
        (lambda: paired_test([[0.5]], [[0.5]]), "one dimension"),  # type: ignore[list-item]
        (lambda: paired_test([0.5, 0.5], [0.5, 0.5], ["a"]), "1 cluster names for 2 pairs"),
        (lambda: paired_test([0.5], [0.5], confidence=1.0), "confidence"),
        (lambda: paired_test([0.5], [0.5], confidence=0.0), "confidence"),
    ],
)
def test_what_cannot_be_tested_is_refused(call: Callable[[], PairedTest], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        call()


REPEATS = 800
NOISE = 3 * math.sqrt(0.05 * 0.95 / REPEATS)


def covered(draw: Callable[[np.random.Generator], PairedTest], truth: float) -> float:
    """Share of repeats whose 95% interval covers the truth."""
    rng = np.random.default_rng(20)
    found = (draw(rng) for _ in range(REPEATS))
    return sum(test.low <= truth <= test.high for test in found) / REPEATS


def test_a_true_null_is_rejected_as_often_as_promised() -> None:
    def draw(rng: np.random.Generator) -> PairedTest:
        before, after = rng.beta(2, 3, (2, 40))
        return paired_test(before.tolist(), after.tolist())

    assert abs(covered(draw, 0.0) - 0.95) < NOISE


def test_a_true_null_is_kept_when_clusters_differ_in_size() -> None:
    # With the plain sandwich error and G - 1 degrees of freedom this covers 88%.
    def draw(rng: np.random.Generator) -> PairedTest:
        sizes = np.ceil(np.exp(rng.normal(1, 1.3, 25))).astype(int)
        index = np.repeat(np.arange(25), sizes)
        shift = rng.normal(0, 0.15, 25)[index]
        difference = np.clip(shift + rng.normal(0, 0.3, index.size), -1, 1)
        before, after = np.maximum(0, -difference), np.maximum(0, difference)
        return paired_test(before.tolist(), after.tolist(), [str(i) for i in index])

    assert covered(draw, 0.0) > 0.95 - NOISE


def test_a_rare_loss_is_not_missed() -> None:
    # In 13% of such suites no prompt is lost; a t interval would then be [0, 0].
    def draw(rng: np.random.Generator) -> PairedTest:
        lost = rng.random(100) < 0.02
        return paired_test([1.0] * 100, (~lost).astype(float).tolist())

    assert covered(draw, -0.02) > 0.95


def test_the_detectable_difference_is_found_with_80_percent_power() -> None:
    rng = np.random.default_rng(3)
    claimed, hits = [], 0
    for _ in range(600):
        noise = rng.uniform(-0.35, 0.35, 50)
        claimed.append(of_differences(noise.tolist()).detectable)
        hits += of_differences((noise + 0.0832).tolist()).p_value < 0.05
    assert np.mean(claimed) == pytest.approx(0.0832, abs=0.002)
    assert hits / 600 == pytest.approx(0.8, abs=3 * math.sqrt(0.16 / 600))
