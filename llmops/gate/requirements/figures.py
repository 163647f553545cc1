"""The figures that a decision depends on besides the paired tests of the whole suite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from llmops.gate.requirements.costs import spent_on
from llmops.recipe.schema import Gate, Requirement
from llmops.records import Comparison, Figures, OwnMean, Row, SliceTest
from llmops.stats.paired import detectable_with, paired_test
from llmops.stats.terminal import interval, mean_interval, p_above
from llmops.stats.units import Units, units_of


def figures_of(comparison: Comparison, policy: Gate, *, first: bool = False) -> Figures:
    """Compute what floors, protected slices, budgets and controls are decided on.

    Args:
        comparison: A finished comparison.
        policy: The policy, whose requirements say what is computed.
        first: Whether there is no champion, so that the baseline is the bare base.

    Raises:
        KeyError: A requirement names a metric that was not computed.
    """
    rows = [row for row in comparison.rows if not row.failed]
    confidence = comparison.metrics[0].test.confidence
    means = [_own_mean(_concerned(rows, each), each, confidence) for each in policy.floors]
    sliced = [each for each in policy.require if each.slice and each not in policy.floors]
    tests = [_slice_test(_concerned(rows, each), each, confidence) for each in sliced]
    return Figures(
        means=tuple(mean for mean in means if mean),
        slices=tuple(test for test in tests if test),
        spent=spent_on([row.candidate for row in rows], policy.budgets),
        judges=comparison.judges,
        whole=len(comparison.rows) == comparison.available,
        first=first,
    )


def _concerned(rows: Sequence[Row], requirement: Requirement) -> list[Row]:
    """Return the rows that a requirement reads."""
    return [row for row in rows if row.example.is_in(requirement.tag)]


def _own_mean(rows: Sequence[Row], requirement: Requirement, confidence: float) -> OwnMean | None:
    if not rows:
        return None
    scores = [row.candidate_scores[requirement.metric] for row in rows]
    clusters = [row.example.cluster for row in rows]
    low, high = mean_interval(scores, clusters, confidence=confidence)
    return OwnMean(
        metric=requirement.metric,
        slice=requirement.tag,
        mean=sum(scores) / len(scores),
        low=low,
        high=high,
        n=len(rows),
        clusters=len(set(clusters)),
        confidence=confidence,
    )


def _slice_test(
    rows: Sequence[Row], requirement: Requirement, confidence: float
) -> SliceTest | None:
    if not rows or requirement.tag is None:
        return None
    before = [row.baseline_scores[requirement.metric] for row in rows]
    after = [row.candidate_scores[requirement.metric] for row in rows]
    clusters = [row.example.cluster for row in rows]
    gains = [new - old for old, new in zip(before, after, strict=True)]
    units, alpha = units_of(gains, clusters, after), (1 - confidence) / 2
    low, high = interval(units, alpha)
    test = replace(
        paired_test(before, after, clusters, confidence=confidence),
        low=low,
        high=high,
        p_value=_two_sided(units),
        detectable=detectable_with(low, high, confidence),
    )
    tied = units_of([0.0] * len(rows), clusters, after)
    return SliceTest(requirement.metric, requirement.tag, test, best=interval(tied, alpha)[0])


def _two_sided(units: Units) -> float:
    return min(1.0, 2 * min(p_above(units, 0.0), p_above(units.mirrored, 0.0)))
