"""How likely a model finds a text."""

from __future__ import annotations

import math

import pytest

from llmops.compare.scorers.likelihood import per_token


def test_likelihood_is_the_geometric_mean() -> None:
    total = math.log(0.5) + math.log(0.25) + math.log(0.5)
    assert per_token(total, 3) == pytest.approx((0.5 * 0.25 * 0.5) ** (1 / 3))
    assert per_token(0.0, 7) == 1.0
    assert per_token(-math.inf, 2) == 0.0
    assert per_token(-1e9, 2) == 0.0


@pytest.mark.parametrize(("total", "tokens"), [(-1.0, 0), (-1.0, -1), (0.1, 3), (math.nan, 3)])
def test_no_likelihood(total: float, tokens: int) -> None:
    with pytest.raises(ValueError, match="no log-probability"):
        per_token(total, tokens)
