from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize, stats

from llmops.errors import DataError
from llmops.stats import bradley_terry

THREE = np.random.default_rng(1).normal(size=(3, 90)) + np.array([[0.3], [0.0], [-0.4]])


def few(clusters: float) -> float:
    """How much Student's t widens a standard error."""
    return float(stats.t.ppf(0.975, clusters - 1) / stats.norm.ppf(0.975))


def test_two_versions_are_a_binomial() -> None:
    found = bradley_terry(["a", "b"], [[1] * 30 + [0] * 10, [0] * 30 + [1] * 10])
    assert found.names == ("a", "b")
    assert found.chance("a", "b") == pytest.approx(0.75)
    assert found.strengths == pytest.approx([math.log(3) / 2, -math.log(3) / 2])
    expected = math.sqrt(1 / 30 + 1 / 10) * math.sqrt(40 / 39) * few(40)
    assert found.error_of_gap("a", "b") == pytest.approx(expected)
    assert found.errors[0] == pytest.approx(found.error_of_gap("a", "b") / 2)


def test_the_likelihood_is_at_its_maximum() -> None:
    scores = np.random.default_rng(1).normal(size=(5, 60)).round(1)
    gaps = scores[:, None] - scores[None]
    wins = (gaps > 0).sum(axis=2) + ((gaps == 0).sum(axis=2) - 60 * np.eye(5)) / 2

    def unlikelihood(strengths: np.ndarray) -> float:
        gaps = strengths[:, None] - strengths
        return float((wins * np.log1p(np.exp(-gaps))).sum() + strengths.sum() ** 2)

    expected = optimize.minimize(unlikelihood, np.zeros(5), tol=1e-12).x
    names = list("abcde")
    found = bradley_terry(names, scores)
    assert [found.strengths[found.names.index(n)] for n in names] == pytest.approx(
        expected, abs=1e-5
    )
    assert list(found.strengths) == sorted(found.strengths, reverse=True)
    assert found.strengths.sum() == pytest.approx(0, abs=1e-9)


def test_a_tie_is_half_a_win_for_each() -> None:
    tied = bradley_terry(["a", "b"], [[1, 1, 0, 0.3], [0, 1, 1, 0.1 + 0.2]])
    assert tied.strengths == pytest.approx([0, 0], abs=1e-9)
    assert bradley_terry(["a", "b"], [[1, 1, 1, 0], [0, 1, 1, 1]]).chance("a", "b") == 0.5


def test_errors_are_those_of_a_cluster_bootstrap() -> None:
    rng = np.random.default_rng(2)
    cluster = np.repeat(np.arange(30), 3)
    shared = rng.normal(size=(3, 30))[:, cluster]
    scores, names = THREE + shared, [f"c{i}" for i in cluster]
    found = bradley_terry(list("abc"), scores, names)
    drawn = []
    for _ in range(400):
        take = np.concatenate([np.flatnonzero(cluster == i) for i in rng.integers(0, 30, 30)])
        again = bradley_terry(list("abc"), scores[:, take])
        drawn.append([again.strengths[again.names.index(name)] for name in found.names])
    assert found.errors / few(30) == pytest.approx(np.std(drawn, axis=0), rel=0.12)
    alone = bradley_terry(list("abc"), scores)
    assert (found.errors > 1.2 * alone.errors).all()  # errors that ignore clusters are too small


def test_prompts_that_are_repeated_add_nothing() -> None:
    names = [f"c{i % 90}" for i in range(180)]
    once = bradley_terry(list("abc"), THREE)
    twice = bradley_terry(list("abc"), np.hstack([THREE, THREE]), names)
    assert twice.covariance == pytest.approx(once.covariance)
    assert once.covariance.sum(axis=1) == pytest.approx([0, 0, 0], abs=1e-9)


def test_one_cluster_has_no_standard_error() -> None:
    with pytest.raises(DataError, match="one cluster"):
        bradley_terry(list("abc"), THREE, ["c"] * 90)


@pytest.mark.parametrize(
    "scores",
    [
        [[1, 0, 1], [0, 1, 0], [-1, -1, -1]],  # c never won
        [[2, 2, 2], [0, 1, 0], [1, 0, 1]],  # a never lost
        [[], [], []],
    ],
)
def test_groups_without_a_common_scale_are_named(scores: list[list[float]]) -> None:
    with pytest.raises(DataError, match="no common scale") as refused:
        bradley_terry(list("abc"), scores)
    assert refused.value.next_command


@pytest.mark.parametrize(
    ("names", "scores", "clusters", "complaint"),
    [
        (["a"], [[0]], None, "at least two"),
        (["a", "a"], [[0, 1], [1, 0]], None, "all different"),
        (["a", "b"], [[0, 1, 1]], None, "shape"),
        (["a", "b"], [0, 1], None, "shape"),
        (["a", "b"], [[0, math.nan], [1, 0]], None, "finite"),
        (["a", "b"], [[0, 1], [1, 0]], ["c"], "cluster names"),
    ],
)
def test_what_is_no_table_of_scores_is_refused(
    names: list[str], scores: list[object], clusters: list[str] | None, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        bradley_terry(names, scores, clusters)  # type: ignore[arg-type]
