"""Standings of several candidates: which beat the baseline, and all sides on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

from llmops.errors import DataError
from llmops.records import Comparison, Standing
from llmops.stats.bradley_terry import Strengths, bradley_terry
from llmops.stats.multiple import holm


def standings(comparisons: Sequence[Comparison]) -> tuple[Standing, ...]:
    """Rank all sides of a comparison by the mean of the first metric, best first.

    P-values are adjusted for the number of candidates (Holm). Strengths are Bradley-Terry log odds
    from every pair of sides, prompt by prompt; their standard errors allow for clusters.

    Args:
        comparisons: The candidates' comparisons with the same baseline, from ``compare_all``.

    Returns:
        The baseline and every candidate. Strengths are ``None`` if they do not exist, such as when
        a side never wins.

    Example:
        comparisons = compare_all("models:/bot@champion", ["models:/bot/4", "models:/bot/5"], "test.jsonl")
        ranking = [standing.side.label for standing in standings(comparisons)]
    """
    first = comparisons[0]
    strengths = _strengths(comparisons, first.metrics[0].metric)
    adjusted = holm([_p_value(comparison) for comparison in comparisons])
    candidates = [
        Standing(
            side=comparison.candidate,
            score=comparison.metrics[0].candidate,
            result=comparison.metrics[0],
            p_holm=float(p),
            strength=_strength_of(comparison.candidate.label, strengths),
        )
        for comparison, p in zip(comparisons, adjusted, strict=True)
    ]
    baseline = Standing(
        side=first.baseline,
        score=first.metrics[0].baseline,
        result=None,
        p_holm=None,
        strength=_strength_of(first.baseline.label, strengths),
    )
    return tuple(sorted([baseline, *candidates], key=lambda standing: -standing.score))


def _has_one_baseline(comparisons: Sequence[Comparison], metric: str) -> bool:
    """Return whether the baseline has a single score per prompt; a pairwise judge gives one per pair."""
    scores = {
        tuple(row.baseline_scores[metric] for row in comparison.rows) for comparison in comparisons
    }
    return len(scores) == 1


def _p_value(comparison: Comparison) -> float:
    """Return the p-value of the first metric; 1 if O'Brien-Fleming's looks leave it undefined."""
    p = comparison.metrics[0].test.p_value
    return 1.0 if isnan(p) else p


def _strengths(comparisons: Sequence[Comparison], metric: str) -> Strengths | None:
    """Return the Bradley-Terry strengths of all sides; ``None`` if undefined."""
    if not _has_one_baseline(comparisons, metric):
        return None
    first = comparisons[0]
    labels = [first.baseline.label, *(comparison.candidate.label for comparison in comparisons)]
    scores = [
        [row.baseline_scores[metric] for row in first.rows],
        *([row.candidate_scores[metric] for row in c.rows] for c in comparisons),
    ]
    try:
        return bradley_terry(labels, scores, [row.example.cluster for row in first.rows])
    except DataError:
        return None


def _strength_of(label: str, strengths: Strengths | None) -> tuple[float, float] | None:
    if strengths is None:
        return None
    i = strengths.names.index(label)
    return float(strengths.strengths[i]), float(strengths.errors[i])
