from __future__ import annotations

import math

import numpy as np
import pytest

from llmops.stats import benjamini_hochberg, e_holm, holm


def test_by_hand() -> None:
    p = [0.01, 0.04, 0.03, 0.005]
    assert holm(p) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert benjamini_hochberg(p) == pytest.approx([0.02, 0.04, 0.04, 0.02])
    assert e_holm([100, 25, 100 / 3, 200]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@pytest.mark.parametrize("k", [0, 1, 2, 7, 50])
def test_adjusted_p_values_are_those_of_statsmodels(k: int) -> None:
    p = np.random.default_rng(k).uniform(0, 1, k) ** 3
    p[: k // 3] = p[0] if k else 0  # ties
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    for adjust, method in ((holm, "holm"), (benjamini_hochberg, "fdr_bh")):
        expected = multitest.multipletests(p, method=method)[1] if k else []
        assert adjust(p) == pytest.approx(expected, abs=1e-12)


def test_holm_keeps_the_chance_of_any_false_claim() -> None:
    rng = np.random.default_rng(1)
    any_false = np.mean([holm(rng.uniform(size=10)).min() <= 0.05 for _ in range(2_000)])
    assert any_false == pytest.approx(0.05, abs=3 * math.sqrt(0.05 * 0.95 / 2_000))


def test_no_adjustment_makes_a_p_value_smaller_or_leaves_the_unit_interval() -> None:
    p = np.array([0.0, 0.2, 0.9, 1.0])
    for adjust in (holm, benjamini_hochberg):
        assert np.all(adjust(p) >= p)
        assert adjust(p).max() <= 1
    assert list(e_holm([math.inf, 0.0, 0.5])) == [0.0, 1.0, 1.0]


@pytest.mark.parametrize("p", [[1.1], [-0.1], [math.nan], [[0.5]]])
def test_what_is_no_p_value_is_refused(p: list[float]) -> None:
    for adjust in (holm, benjamini_hochberg):
        with pytest.raises(ValueError, match="p-values"):
            adjust(p)
    if p != [1.1]:
        with pytest.raises(ValueError, match="values"):
            e_holm([math.nan] if p == [math.nan] else [[-1.0]])
