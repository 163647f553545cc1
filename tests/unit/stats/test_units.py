"""Paired differences as independent units."""

from __future__ import annotations

import math

import numpy as np
import pytest

from llmops.stats.units import cluster_sums, joined, units_of


def test_without_clusters_every_prompt_is_a_unit() -> None:
    units = units_of([0.5, -0.25, 0.0], candidate=[1.0, 0.5, 0.25])
    assert units.sums.tolist() == [0.5, -0.25, 0.0]
    assert units.sizes.tolist() == [1, 1, 1]
    assert units.falls.tolist() == [1.0, 0.5, 0.25]  # the candidate could have scored 0
    assert units.rises.tolist() == [0.5, 0.75, 0.25]  # or the baseline
    assert units.are_prompts
    assert not units.are_ternary
    assert units.mean == pytest.approx(0.25 / 3)


def test_swapped_sides_are_mirrored_units() -> None:
    before, after = np.array([0.3, 0.9, 0.0, 1.0]), np.array([0.1, 0.9, 0.7, 0.4])
    names = ["a", "b", "a", "c"]
    one, other = units_of(after - before, names, after), units_of(before - after, names, before)
    for field in ("sums", "sizes", "falls", "rises"):
        np.testing.assert_allclose(getattr(one.mirrored, field), getattr(other, field), atol=1e-12)


def test_a_cluster_is_one_unit_and_the_mean_is_that_of_prompts() -> None:
    units = units_of([1.0, 0.0, -1.0, 1.0], ["b", "a", "b", "a"])
    assert units.sums.tolist() == [1.0, 0.0]  # a, b
    assert units.sizes.tolist() == [2, 2]
    assert units.means.tolist() == [0.5, 0.0]
    assert units.mean == 0.25
    assert not units.are_prompts
    assert not units.are_ternary


def test_without_scores_any_difference_was_possible() -> None:
    units = units_of([0.5, -1.0])
    assert units.falls.tolist() == [1.5, 0.0]  # down to -1
    assert units.rises.tolist() == [0.5, 2.0]  # up to 1


def test_differences_that_are_equal_but_for_rounding_are_equal() -> None:
    units = units_of([0.3 - 0.2, 0.9 - 0.8])
    assert units.sums[0] == units.sums[1] == 0.1


def test_wins_ties_and_losses_are_ternary() -> None:
    assert units_of([1.0, 0.0, -1.0]).are_ternary
    assert not units_of([1.0, 0.5]).are_ternary


def test_blocks_are_joined_in_order() -> None:
    first, second = units_of([0.5], candidate=[1.0]), units_of([1.0, -1.0], ["a", "a"], [1.0, 0.0])
    both = joined([first, second])
    assert both.sums.tolist() == [0.5, 0.0]
    assert both.sizes.tolist() == [1, 2]
    assert both.falls.tolist() == [1.0, 1.0]
    assert joined([]).sums.size == 0


def test_without_prompts_there_is_no_mean() -> None:
    assert math.isnan(units_of([]).mean)
    assert units_of([], []).sums.size == 0


def test_cluster_sums_follow_the_sorted_names() -> None:
    sums, sizes = cluster_sums(np.array([0.25, 0.5, 0.125]), ["z", "a", "z"])
    assert sums.tolist() == [0.5, 0.375]
    assert sizes.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("differences", "clusters", "candidate", "complaint"),
    [
        ([[0.5]], None, None, "one dimension"),
        ([1.5], None, None, r"\[-1, 1\]"),
        ([math.nan], None, None, r"\[-1, 1\]"),
        ([0.5], ["a", "b"], None, "2 cluster names for 1 pairs"),
        ([0.5], None, [0.5, 0.5], "one score in"),
        ([0.5], None, [1.5], "one score in"),
        ([0.5], None, [math.nan], "one score in"),
    ],
)
def test_what_is_no_difference_is_refused(
    differences: list[float],
    clusters: list[str] | None,
    candidate: list[float] | None,
    complaint: str,
) -> None:
    with pytest.raises(ValueError, match=complaint):
        units_of(differences, clusters, candidate)
