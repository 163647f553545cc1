from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from llmops.stats import exact_test
from llmops.stats.exact import ENUMERATED, Alternative, mcnemar, sign_flip

ALTERNATIVES: tuple[Alternative, ...] = ("two-sided", "greater", "less")


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_mcnemar_is_scipys_binomial_test(alternative: Alternative) -> None:
    rng = np.random.default_rng(1)
    for n in (3, 30, 300):
        values = rng.integers(-1, 2, n).astype(float)
        wins, losses = int((values > 0).sum()), int((values < 0).sum())
        expected = stats.binomtest(wins, wins + losses, alternative=alternative).pvalue
        assert exact_test(values, alternative=alternative) == pytest.approx(expected, abs=1e-9)


def test_mcnemar_is_that_of_statsmodels() -> None:
    tables = pytest.importorskip("statsmodels.stats.contingency_tables")
    for wins, losses in ((0, 1), (1, 1), (3, 12), (40, 61), (0, 7)):
        expected = tables.mcnemar([[5, wins], [losses, 9]], exact=True).pvalue
        assert mcnemar(wins, losses) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize("n", [2, 3, 5, 12])
def test_sign_flips_are_scipys_permutation_test(n: int, alternative: Alternative) -> None:
    values = np.round(np.random.default_rng(n).uniform(-1, 1, n), 2)
    expected = stats.permutation_test(
        (values,), np.sum, permutation_type="samples", n_resamples=math.inf, alternative=alternative
    ).pvalue
    assert exact_test(values, alternative=alternative) == pytest.approx(expected, abs=1e-9)


def test_equal_sums_count_whatever_their_rounding() -> None:
    # .1 + .2 - .3 is 5e-17 in floats: every flip of it is a tie with the observed sum or not.
    values = [0.1, 0.2, -0.3]
    sums = [a * 1 + b * 2 + c * 3 for a in (1, -1) for b in (1, -1) for c in (1, -1)]
    assert exact_test(values, alternative="greater") == sum(s >= 0 for s in sums) / 8


def test_ternary_by_flips_is_ternary_by_mcnemar() -> None:
    values = [1.0] * 9 + [-1.0] * 3 + [0.0] * 50
    assert sign_flip(values) == pytest.approx(mcnemar(9, 3), abs=1e-12)


def test_sampled_flips_are_near_all_flips() -> None:
    values = [1.0] * 20 + [-1.0] * (ENUMERATED - 5)
    found = sign_flip(values, alternative="greater", draws=40_000, seed=3)
    assert found == pytest.approx(mcnemar(20, ENUMERATED - 5, alternative="greater"), abs=0.01)


def test_a_seed_gives_one_answer_and_never_zero() -> None:
    values = np.full(60, 0.3)
    assert sign_flip(values, seed=1) == sign_flip(values, seed=1) == pytest.approx(2 / 10_000)


def test_a_cluster_flips_as_a_whole() -> None:
    values, clusters = [0.5] * 12, list("aaaabbbbcccc")
    assert exact_test(values, clusters, alternative="greater") == 1 / 8
    assert exact_test([0.5, 0.5, 0.5], alternative="greater") == 1 / 8
    assert exact_test(values, ["only"] * 12) == 1.0


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize("values", [[], [0.0], [0.0] * 40])
def test_without_a_difference_nothing_is_shown(
    values: list[float], alternative: Alternative
) -> None:
    assert exact_test(values, alternative=alternative) == 1.0


def test_a_constant_difference_is_a_sign_test() -> None:
    assert exact_test([0.25] * 8) == pytest.approx(2 / 2**8)
    assert exact_test([1.0] * 8) == pytest.approx(2 / 2**8)
    assert exact_test([1.0]) == 1.0
    assert exact_test([1.0, 1.0], alternative="greater") == 0.25


def test_the_level_is_kept_with_clusters() -> None:
    rng = np.random.default_rng(4)
    names = [str(i) for i in np.repeat(np.arange(12), rng.integers(1, 6, 12))]
    index = np.unique(names, return_inverse=True)[1]
    rejected = 0
    for seed in range(500):
        shift = rng.normal(0, 0.2, 12)[index]
        values = np.clip(shift + rng.normal(0, 0.1, index.size), -1, 1)
        rejected += exact_test(values, names, seed=seed) <= 0.05
    assert rejected / 500 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 500)


@pytest.mark.parametrize(
    ("values", "clusters", "complaint"),
    [
        ([1.5], None, r"\[-1, 1\]"),
        ([math.nan], None, r"\[-1, 1\]"),
        ([[0.5]], None, "one dimension"),
        ([0.5, 0.1], ["a"], "1 cluster names for 2 pairs"),
    ],
)
def test_what_cannot_be_tested_is_refused(
    values: list[float], clusters: list[str] | None, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        exact_test(values, clusters)
