"""The interval of one side's own mean."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from llmops.stats.terminal import mean_interval


@pytest.mark.parametrize(("successes", "n"), [(0, 30), (1, 30), (27, 30), (30, 30)])
def test_right_and_wrong_answers_have_the_exact_interval(successes: int, n: int) -> None:
    scores = [1.0] * successes + [0.0] * (n - successes)
    wanted = stats.binomtest(successes, n).proportion_ci(0.95, method="exact")
    assert mean_interval(scores) == pytest.approx((wanted.low, wanted.high), abs=1e-9)


def test_higher_confidence_is_wider_and_ends_stay_scores() -> None:
    scores = [0.9, 1.0, 0.8, 0.7, 1.0, 0.95] * 6
    narrow, wide = mean_interval(scores, confidence=0.8), mean_interval(scores, confidence=0.999)
    assert 0 <= wide[0] < narrow[0] < np.mean(scores) < narrow[1] < wide[1] <= 1
    assert mean_interval([0.3] * 20, ["one"] * 20) == (0.0, 1.0), "a single cluster tells nothing"
    low, high = mean_interval(scores, confidence=1 - 1e-6)
    assert 0 < low < high, "no test of signs takes the end to 0 at a tiny level"


def test_prompts_of_one_cluster_count_once() -> None:
    scores = [1.0, 1.0, 1.0, 0.0] * 10
    alone = mean_interval(scores)
    low, high = mean_interval(scores, [str(i // 4) for i in range(40)])
    repeated = mean_interval(
        [s for s in scores for _ in range(4)], [str(i // 4) for i in range(160)]
    )
    assert repeated[0] <= alone[0] + 0.02, "four copies are no new evidence"
    assert low <= 0.75 <= high


@pytest.mark.parametrize("clustered", [False, True])
def test_a_floor_that_is_not_met_is_passed_rarely(clustered: bool) -> None:
    draw = np.random.default_rng(5)
    passed, runs = 0, 600
    for _ in range(runs):
        if clustered:
            rates = np.repeat(draw.beta(9, 1, 30), 4)
            names = [str(i // 4) for i in range(120)]
            scores = (draw.random(120) < rates).astype(float)
        else:
            scores, names = (draw.random(120) < 0.9).astype(float), None
        passed += mean_interval(scores, names)[0] >= 0.9
    assert passed / runs <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / runs)


@pytest.mark.parametrize("scores", [[1.2, 0.5], [float("nan"), 0.1], [-0.1, 0.1], [[0.1], [0.2]]])
def test_other_numbers_are_refused(scores: list[float]) -> None:
    with pytest.raises(ValueError, match="scores: expected numbers in"):
        mean_interval(scores)


@pytest.mark.parametrize("confidence", [0.0, 1.0])
def test_an_impossible_confidence_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence"):
        mean_interval([0.5, 0.5], confidence=confidence)
