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
    """All sides of a sitting by the first metric, the best first.

    P-values are Holm's over the candidates. Strengths are Bradley and Terry's from every pair of
    sides, prompt by prompt; there are none if some sides never win against others.

    Args:
        comparisons: Of several candidates with one baseline, from ``compare_all``.
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
    strengths = _strengths(labels, scores) if _shared(comparisons, metric) else None
    adjusted = holm([_p(one) for one in comparisons])
    found = [
        Standing(
            side=one.candidate,
            score=one.metrics[0].candidate,
            result=one.metrics[0],
            p_holm=float(p),
            strength=_of(strengths, one.candidate.label),
        )
        for one, p in zip(comparisons, adjusted, strict=True)
    ]
    base = Standing(
        first.baseline, first.metrics[0].baseline, None, None, _of(strengths, labels[0])
    )
    return tuple(sorted([base, *found], key=lambda one: -one.score))


def _shared(comparisons: Sequence[Comparison], metric: str) -> bool:
    """Whether the baseline has one score a prompt: a judge of pairs gives it one for each pair."""
    found = {tuple(row.baseline_scores[metric] for row in one.rows) for one in comparisons}
    return len(found) == 1


def _p(comparison: Comparison) -> float:
    """O'Brien-Fleming's looks leave intervals and no p-value: nothing is claimed of it then."""
    p = comparison.metrics[0].test.p_value
    return 1.0 if isnan(p) else p


def _strengths(labels: Sequence[str], scores: np.ndarray) -> Strengths | None:
    gaps = np.round(scores[:, None, :] - scores[None, :, :], DIGITS)
    ties = (gaps == 0).sum(axis=2)
    np.fill_diagonal(ties, 0)
    try:
        return bradley_terry(labels, (gaps > 0).sum(axis=2), ties)
    except DataError:
        return None


def _of(strengths: Strengths | None, label: str) -> tuple[float, float] | None:
    if strengths is None:
        return None
    i = strengths.names.index(label)
    return float(strengths.strengths[i]), float(strengths.errors[i])
