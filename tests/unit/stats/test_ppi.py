from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from llmops.errors import DataError
from llmops.stats import Powered, powered_mean


def draw(rng: np.random.Generator, n: int, judged: int, agreement: float) -> Powered:
    """Humans say +1, 0, -1; the judge repeats them or guesses, and leans to +1."""
    human = rng.choice([1.0, 0.0, -1.0], n + judged, p=[0.4, 0.3, 0.3])
    guess = rng.choice([1.0, 0.0], n + judged, p=[0.6, 0.4])
    judge = np.where(rng.random(n + judged) < agreement, human, guess)
    return powered_mean(human[:n], judge[:n], judge[n:])


def test_by_hand() -> None:
    rng = np.random.default_rng(1)
    y, rest = rng.choice([1.0, -1.0], 60), rng.choice([1.0, -1.0], 400)
    f = np.where(rng.random(60) < 0.8, y, -y)
    found = powered_mean(y, f, rest)
    weight = np.cov(y, f)[0, 1] / ((1 + 60 / 400) * np.var(np.r_[f, rest], ddof=1))
    variance = weight**2 * rest.var(ddof=1) / 400 + (y - weight * f).var(ddof=1) / 60
    assert found.weight == pytest.approx(weight)
    assert found.difference == pytest.approx(y.mean() + weight * (rest.mean() - f.mean()))
    assert found.high - found.low == pytest.approx(2 * 1.959964 * math.sqrt(variance), rel=1e-6)
    assert found.effective == pytest.approx(y.var(ddof=1) / variance)


def test_the_interval_covers_although_the_judge_leans() -> None:
    rng = np.random.default_rng(2)
    covered, wrong, gain = 0, 0, []
    for _ in range(500):
        found = draw(rng, 100, 2_000, 0.7)
        covered += found.low <= 0.1 <= found.high
        half = 1.96 * 0.75 / math.sqrt(2_100)
        wrong += not found.judge - half <= 0.1 <= found.judge + half
        gain.append(found.effective / 100)
    assert covered / 500 >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / 500)
    assert wrong / 500 > 0.9
    assert np.mean(gain) > 1.4


def test_a_useless_judge_costs_nothing() -> None:
    found = draw(np.random.default_rng(3), 200, 1_000, 0.0)
    assert found.weight < 0.2
    assert found.effective == pytest.approx(200, rel=0.1)


def test_a_judge_who_says_the_opposite_is_not_used() -> None:
    y = np.array([1.0, -1.0] * 30)
    found = powered_mean(y, -y, np.ones(500))
    assert found.weight == 0.0
    assert (found.difference, found.effective) == (y.mean(), 60)
    half = stats.norm.ppf(0.975) * y.std(ddof=1) / math.sqrt(60)
    assert found.high == pytest.approx(half)


def test_constant_labels() -> None:
    found = powered_mean(np.ones(50), np.zeros(50), np.zeros(10))
    assert (found.weight, found.difference, found.effective) == (0.0, 1.0, 50.0)
    assert math.isnan(found.correlation)


@pytest.mark.parametrize(("labels", "judged"), [(49, 500), (0, 500), (50, 1)])
def test_too_few_labels_are_refused(labels: int, judged: int) -> None:
    with pytest.raises(DataError, match="received") as refused:
        powered_mean(np.ones(labels), np.ones(labels), np.ones(judged))
    assert refused.value.next_command


def test_labels_that_cannot_be_are_refused() -> None:
    good = np.zeros(60)
    for arguments in (
        (good, good[:50], good),
        (good, good + 2, good),
        (good, good, good * math.nan),
    ):
        with pytest.raises(ValueError, match=r"labels|judge"):
            powered_mean(*arguments)
    with pytest.raises(ValueError, match="confidence"):
        powered_mean(good, good, good, confidence=1.0)
