"""The p-value of a sequential comparison, from what decided it."""

from __future__ import annotations

import numpy as np
import pytest

from llmops.stats.result import Method
from llmops.stats.sequential import SequentialTest


def played(method: Method, values: list[float]) -> SequentialTest:
    test = SequentialTest("improve", 0.0, cap=len(values), method=method)
    for block in np.array_split(np.array(values), 4):
        test.update(block)
    return test


def test_a_test_counts_by_its_share_of_alpha() -> None:
    values = [0.3, -0.1, 0.2, 0.1, -0.2, 0.25, 0.0, 0.1] * 5
    fixed, hybrid = played("fixed", values).result(), played("hybrid", values).result()
    assert fixed.p_overall == pytest.approx(fixed.p_value)
    assert hybrid.p_overall == pytest.approx((hybrid.p_value or 0) / 0.8)


def test_an_e_value_counts_by_its_share_of_alpha() -> None:
    result = played("anytime", [1.0, 0.0] * 30).result()
    assert result.p_overall == pytest.approx(1 / (result.e_value or 0))
    assert result.p_value is None


@pytest.mark.parametrize("method", ["spend", "obf"])
def test_looks_at_spent_levels_cost_something(method: Method) -> None:
    result = played(method, [0.3, -0.2, 0.2, 0.1, -0.2, 0.25, 0.0, 0.1] * 5).result()
    assert result.p_value is not None
    assert result.p_value < result.p_overall < 20 * result.p_value


@pytest.mark.parametrize("method", ["spend", "hybrid", "fixed", "obf", "anytime"])
def test_the_p_value_is_at_most_alpha_exactly_when_the_claim_is_shown(method: Method) -> None:
    for seed in range(40):
        rng = np.random.default_rng(seed)
        test = played(method, rng.choice([1.0, 0.0, -1.0], 80, p=[0.3, 0.55, 0.15]).tolist())
        result = test.finish()
        assert (result.p_overall <= test.alpha) == (result.low > 0)
        assert (test.p_value(below=True) <= test.alpha) == (result.high < 0)
