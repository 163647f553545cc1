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
    spread = f.var(ddof=1) / 60 + rest.var(ddof=1) / 400
    weight = np.cov(y, f)[0, 1] / 60 / spread
    variance = weight**2 * rest.var(ddof=1) / 400 + (y - weight * f).var(ddof=1) / 60
    variance *= 60 / 58  # the weight is estimated
    half = stats.t.ppf(0.975, 59) * math.sqrt(variance)
    assert found.weight == pytest.approx(weight)
    assert found.difference == pytest.approx(y.mean() + weight * (rest.mean() - f.mean()))
    assert (found.low, found.high) == pytest.approx(
        (found.difference - half, found.difference + half)
    )
    assert found.effective == pytest.approx(60 * y.var(ddof=1) / 60 / variance)
    alone = stats.t.ppf(0.975, 59) * y.std(ddof=1) / math.sqrt(60)
    assert (found.human_low, found.human_high) == pytest.approx(
        (y.mean() - alone, y.mean() + alone)
    )


def clustered(rng: np.random.Generator, prompts: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels of humans and judge in clusters of 5 that share half of their variance."""
    names = np.array([f"c{i // 5}" for i in range(prompts)])

    def drawn() -> np.ndarray:
        shared = np.repeat(rng.normal(size=prompts // 5), 5)
        return np.asarray((shared + rng.normal(size=prompts)) / math.sqrt(2))

    human = drawn()
    judge = 0.8 * human + 0.6 * drawn()
    return np.sign(human), np.clip(judge / 4, -1, 1), names


@pytest.mark.parametrize("whole", [False, True])
def test_the_interval_covers_with_clusters(whole: bool) -> None:
    rng = np.random.default_rng(6)
    covered = ignored = 0
    for _ in range(400):
        y, f, names = clustered(rng, 600)
        order = np.arange(600) if whole else rng.permutation(600)
        own, rest = order[:100], order[100:]
        found = powered_mean(y[own], f[own], f[rest], clusters=(names[own], names[rest]))
        plain = powered_mean(y[own], f[own], f[rest])
        covered += found.low <= 0 <= found.high
        ignored += plain.low <= 0 <= plain.high
    assert covered / 400 >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / 400)
    if whole:
        assert ignored / 400 < 0.9  # the same prompts, taken as independent


def test_clusters_of_one_prompt_change_nothing() -> None:
    rng = np.random.default_rng(7)
    y, f, rest = (rng.choice([1.0, 0.0, -1.0], n) for n in (60, 60, 200))
    names = [str(i) for i in range(60)], [str(i) for i in range(60, 260)]
    assert powered_mean(y, f, rest, clusters=names) == powered_mean(y, f, rest)


def test_labels_of_few_clusters_are_refused() -> None:
    y, rest = np.tile([1.0, -1.0], 30), np.zeros(200)
    others = [str(i) for i in range(200)]
    nine = [f"c{i % 9}" for i in range(60)]
    with pytest.raises(DataError, match=r"9 clusters, worth 9\.0 of equal size") as refused:
        powered_mean(y, y, rest, clusters=(nine, others))
    assert refused.value.next_command
    with pytest.raises(DataError, match="150 of 200 are one cluster"):
        powered_mean(y, y, rest, clusters=([f"d{i}" for i in range(60)], ["c"] * 150 + others[:50]))
    with pytest.raises(ValueError, match="expected 60 and 200 names"):
        powered_mean(y, y, rest, clusters=(nine, nine))


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
    assert (found.difference, found.effective) == (y.mean(), pytest.approx(60))
    half = stats.t.ppf(0.975, 59) * y.std(ddof=1) / math.sqrt(60)
    assert found.high == pytest.approx(half)


@pytest.mark.parametrize("label", [-1.0, 0.0, 1.0])
def test_constant_labels_are_not_certain(label: float) -> None:
    found = powered_mean(np.full(50, label), np.zeros(50), np.zeros(10))
    assert (found.weight, found.difference, found.effective) == (0.0, label, 50.0)
    assert (found.low, found.high) == (found.human_low, found.human_high)
    rare = 1 - 0.025 ** (1 / 50)  # 0 of 50: Clopper & Pearson
    span = (1 + abs(label)) * rare
    assert found.low == pytest.approx(label - span if label >= 0 else -1.0)
    assert found.high == pytest.approx(label + span if label <= 0 else 1.0)
    assert math.isnan(found.correlation)


@pytest.mark.parametrize("rate", [0.01, 0.03])
@pytest.mark.parametrize("of_the_judge", [True, False])
def test_the_intervals_cover_rare_labels(rate: float, of_the_judge: bool) -> None:
    rng = np.random.default_rng(5)
    runs, covered, alone = 300, 0, 0
    for _ in range(runs):
        if of_the_judge:  # who is rarely wrong, always to one side, and hugely
            judge = rng.choice([-1.0, 0.0, 1.0], 6_000)
            human = np.where(rng.random(judge.size) < rate, -1.0, judge)
            truth = -rate
        else:  # humans rarely prefer a side
            judge = rng.choice([-1.0, 0.0, 1.0], 1_000)
            human, truth = (rng.random(judge.size) < rate) * 1.0, rate
        found = powered_mean(human[:100], judge[:100], judge[100:])
        covered += found.low <= truth <= found.high
        alone += found.human_low <= truth <= found.human_high
    assert covered / runs > 0.94
    assert alone / runs > 0.92  # its own error over 300 runs


def test_rare_labels_mirror() -> None:
    rng = np.random.default_rng(6)
    human = (rng.random(80) < 0.03) * 1.0
    judge, rest = rng.choice([-1.0, 0.0, 1.0], 80), rng.choice([-1.0, 0.0, 1.0], 500)
    one, other = powered_mean(human, judge, rest), powered_mean(-human, -judge, -rest)
    ends = [one.low, one.high, one.human_low, one.human_high]
    mirrored = [-other.high, -other.low, -other.human_high, -other.human_low]
    np.testing.assert_allclose(ends, mirrored, atol=1e-12)


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
