"""Several candidates at once: who is shown to beat the baseline, and all on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

import numpy as np

from llmops.errors import DataError
from llmops.records import Comparison, Standing
from llmops.stats.bradley_terry import Strengths, bradley_terry
from llmops.stats.multiple import holm

DIGITS = 12
"""As in the paired test: 0.3 - 0.2 equals 0.9 - 0.8."""


def standings(comparisons: Sequence[Comparison]) -> tuple[Standing, ...]:
    """Rank all sides of one comparison by the first metric, the best first.

    P-values are Holm's over the candidates. Strengths are Bradley and Terry's from every pair of
    sides, prompt by prompt; there are none if some sides never win against others.

    Args:
        comparisons: Several candidates with one baseline, from ``compare_all``.
    """
    first = comparisons[0]
    metric = first.metrics[0].metric
    labels = [first.baseline.label, *(one.candidate.label for one in comparisons)]
    scores = np.array(
        [
            [row.baseline_scores[metric] for row in first.rows],
            *([row.candidate_scores[metric] for row in one.rows] for one in comparisons),
        ]
    )
    strengths = _strengths(labels, scores) if _has_one_baseline(comparisons, metric) else None
    adjusted = holm([_p_value(one) for one in comparisons])
    candidates = [
        Standing(
            side=one.candidate,
            score=one.metrics[0].candidate,
            result=one.metrics[0],
            p_holm=float(p),
            strength=_strength_of(one.candidate.label, strengths),
        )
        for one, p in zip(comparisons, adjusted, strict=True)
    ]
    baseline = Standing(
        side=first.baseline,
        score=first.metrics[0].baseline,
        result=None,
        p_holm=None,
        strength=_strength_of(labels[0], strengths),
    )
    return tuple(sorted([baseline, *candidates], key=lambda standing: -standing.score))


def _has_one_baseline(comparisons: Sequence[Comparison], metric: str) -> bool:
    """Say whether the baseline has one score a prompt: a judge of pairs gives one for each pair."""
    scores = {tuple(row.baseline_scores[metric] for row in one.rows) for one in comparisons}
    return len(scores) == 1


def _p_value(comparison: Comparison) -> float:
    """Return the p-value, and 1 where O'Brien-Fleming's looks leave an interval without one."""
    p = comparison.metrics[0].test.p_value
    return 1.0 if isnan(p) else p


def _strengths(labels: Sequence[str], scores: np.ndarray) -> Strengths | None:
    """Return Bradley-Terry strengths from scores of shape (sides, prompts), if they exist."""
    gaps = np.round(scores[:, None, :] - scores[None, :, :], DIGITS)
    ties = (gaps == 0).sum(axis=2)
    np.fill_diagonal(ties, 0)
    try:
        return bradley_terry(labels, (gaps > 0).sum(axis=2), ties)
    except DataError:
        return None


def _strength_of(label: str, strengths: Strengths | None) -> tuple[float, float] | None:
    if strengths is None:
        return None
    i = strengths.names.index(label)
    return float(strengths.strengths[i]), float(strengths.errors[i])
