from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize

from llmops.errors import DataError
from llmops.stats import bradley_terry


def test_two_versions_are_a_binomial() -> None:
    found = bradley_terry(["a", "b"], [[0, 30], [10, 0]])
    assert found.names == ("a", "b")
    assert found.chance("a", "b") == pytest.approx(0.75)
    assert found.strengths == pytest.approx([math.log(3) / 2, -math.log(3) / 2])
    assert found.error_of_gap("a", "b") == pytest.approx(math.sqrt(1 / 30 + 1 / 10))
    assert found.errors[0] == pytest.approx(found.error_of_gap("a", "b") / 2)


def test_the_likelihood_is_at_its_maximum() -> None:
    rng = np.random.default_rng(1)
    wins = rng.integers(1, 40, (5, 5)) * (1 - np.eye(5, dtype=int))

    def unlikelihood(strengths: np.ndarray) -> float:
        gaps = strengths[:, None] - strengths
        return float((wins * np.log1p(np.exp(-gaps))).sum() + strengths.sum() ** 2)

    expected = optimize.minimize(unlikelihood, np.zeros(5), tol=1e-12).x
    names = list("abcde")
    found = bradley_terry(names, wins)
    assert [found.strengths[found.names.index(n)] for n in names] == pytest.approx(
        expected, abs=1e-5
    )
    assert list(found.strengths) == sorted(found.strengths, reverse=True)
    assert found.strengths.sum() == pytest.approx(0, abs=1e-9)


def test_a_tie_is_half_a_win_for_each() -> None:
    wins, ties = [[0, 8, 4], [6, 0, 7], [5, 3, 0]], [[0, 4, 2], [4, 0, 0], [2, 0, 0]]
    halves = [[0, 10, 5], [8, 0, 7], [6, 3, 0]]
    found, expected = bradley_terry(list("abc"), wins, ties), bradley_terry(list("abc"), halves)
    assert found.strengths == pytest.approx(expected.strengths)


def test_standard_errors_are_those_of_repeats() -> None:
    true, rng = np.array([0.5, 0.0, -0.5]), np.random.default_rng(2)
    chance = 1 / (1 + np.exp(true[None, :] - true[:, None]))
    found, claimed = [], []
    for _ in range(300):
        wins = np.zeros((3, 3))
        for i, j in ((0, 1), (0, 2), (1, 2)):
            wins[i, j] = rng.binomial(100, chance[i, j])
            wins[j, i] = 100 - wins[i, j]
        fit = bradley_terry(list("abc"), wins)
        found.append(fit.strengths[fit.names.index("a")])
        claimed.append(fit.errors[fit.names.index("a")])
    assert np.mean(found) == pytest.approx(0.5, abs=0.03)
    assert np.std(found) == pytest.approx(np.mean(claimed), rel=0.15)


@pytest.mark.parametrize(
    "wins",
    [
        [[0, 5, 0], [3, 0, 0], [0, 0, 0]],  # c never met the others
        [[0, 5, 1], [3, 0, 1], [0, 0, 0]],  # c never won
        [[0, 9, 9], [0, 0, 4], [0, 4, 0]],  # a never lost
    ],
)
def test_groups_without_a_common_scale_are_named(wins: list[list[int]]) -> None:
    with pytest.raises(DataError, match="no common scale") as refused:
        bradley_terry(list("abc"), wins)
    assert refused.value.next_command
    tied = bradley_terry(list("abc"), wins, 1 - np.eye(3))
    assert np.isfinite(tied.errors).all()


@pytest.mark.parametrize(
    ("names", "wins", "ties", "complaint"),
    [
        (["a"], [[0]], None, "at least two"),
        (["a", "a"], [[0, 1], [1, 0]], None, "all different"),
        (["a", "b"], [[0, 1, 1], [1, 0, 1]], None, "shape"),
        (["a", "b"], [[0, -1], [1, 0]], None, "counts"),
        (["a", "b"], [[1, 1], [1, 0]], None, "diagonal"),
        (["a", "b"], [[0, math.nan], [1, 0]], None, "counts"),
        (["a", "b"], [[0, 1], [1, 0]], [[0, 1], [2, 0]], "symmetric"),
    ],
)
def test_what_is_no_table_of_wins_is_refused(
    names: list[str], wins: list[list[float]], ties: list[list[float]] | None, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        bradley_terry(names, wins, ties)
