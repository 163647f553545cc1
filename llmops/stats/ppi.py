"""Prediction-powered inference: a mean difference from few human labels and many of a judge.

The judge's mean over all prompts is corrected by its error on the prompts that humans labelled too.
The judge's weight minimises the estimated variance, so the estimate is never much worse than that
of the human labels alone (PPI++: Angelopoulos, Duchi & Zrnic 2023, arXiv:2311.01453, example 6.1;
PPI: Angelopoulos et al. 2023, Science 382, 669-674).

Humans must label a random sample of the prompts, not, for instance, only the worst answers. The
variance is that of sums over clusters, and the interval uses Student's t, because both the spread
and the judge's weight are estimated from few labels. Where nearly all labels agree, with each other or
with the judge, that spread says little: 60 equal labels have none. There the interval also covers what
exact binomial bounds leave possible (``paired.rare``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from llmops.errors import DataError
from llmops.stats.clusters import indices, worth
from llmops.stats.paired import rare
from llmops.stats.units import DIGITS, Floats

FEWEST = 50
"""Fewest human labels: with fewer, the interval covers less than its confidence level."""
FEWEST_CLUSTERS = 10
"""Fewest clusters with human labels, counted as clusters of equal size; for the same reason."""


@dataclass(frozen=True)
class Powered:
    """Estimate of the mean difference that humans would give to all prompts, in [-1, 1].

    Attributes:
        difference: Estimated mean difference.
        low: Lower end of the two-sided interval.
        high: Upper end of the two-sided interval.
        weight: Weight of the judge, in [0, 1]; 0 uses human labels only.
        human: Mean of the human labels.
        human_low: Lower end of the interval from the human labels alone.
        human_high: Upper end of that interval.
        judge: Uncorrected mean of the judge's labels over all prompts.
        labels: Number of human labels, n.
        judged: Number of prompts that only the judge labelled, N.
        effective: Number of human labels that alone would give the same precision.
        correlation: Correlation of human and judge on the prompts both labelled; NaN if either
            never varies.

    Example:
        import numpy as np

        from llmops.stats import powered_mean

        human = np.tile([1.0, 0.0, -1.0, 1.0], 15)
        result = powered_mean(human, human, np.tile([1.0, 0.0], 300))
        assert result.effective > result.labels  # the judge adds information
    """

    difference: float
    low: float
    high: float
    weight: float
    human: float
    human_low: float
    human_high: float
    judge: float
    labels: int
    judged: int
    effective: float
    correlation: float


class _Groups(NamedTuple):
    """Clusters: the index of each labelled prompt, of each other prompt, and their number."""

    labelled: NDArray[np.intp]
    others: NDArray[np.intp]
    total: int


def powered_mean(
    human: ArrayLike,
    judge: ArrayLike,
    judge_only: ArrayLike,
    *,
    clusters: tuple[Sequence[str], Sequence[str]] | None = None,
    confidence: float = 0.95,
) -> Powered:
    """Estimate the mean paired difference that humans would give to all prompts.

    Args:
        human: Differences by humans, in [-1, 1], shape (n,).
        judge: Differences by the judge on the same prompts, in [-1, 1], shape (n,).
        judge_only: Differences by the judge on the other prompts, in [-1, 1], shape (N,).
        clusters: Cluster names of the n labelled and of the N other prompts; a cluster may have
            prompts of both kinds. Without it, prompts are independent.
        confidence: Confidence level of the two-sided intervals, in (0, 1).

    Returns:
        The estimate, its interval, and the judge's weight.

    Raises:
        DataError: There are fewer than 50 human labels, fewer than 10 clusters with labels, or
            fewer than two prompts that only the judge labelled; or most of these are one cluster.
        ValueError: The lengths differ, a number is outside [-1, 1], or the confidence is outside
            (0, 1).

    Example:
        from llmops.stats import powered_mean

        human, judge, judge_only = [1.0, -1.0, 0.0] * 20, [1.0, 0.0, 0.0] * 20, [1.0, 0.0] * 250
        result = powered_mean(human, judge, judge_only)
        assert result.human_low < result.low < result.difference < result.high
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: expected a number between 0 and 1, received {confidence}")
    y, f, rest = _labels(human, "human"), _labels(judge, "judge"), _labels(judge_only, "judge_only")
    if y.shape != f.shape:
        raise ValueError(f"unpaired labels: {y.size} human, {f.size} of the judge")
    _enough(y.size, rest.size)
    return _powered(y, f, rest, _groups(y.size, rest.size, clusters), confidence)


def _powered(y: Floats, f: Floats, rest: Floats, groups: _Groups, confidence: float) -> Powered:
    weight, errors, freedom = _weighted(y, f, rest, groups)
    quantile = float(special.stdtrit(freedom, (1 + confidence) / 2))
    estimate = float(y.mean() + weight * (rest.mean() - f.mean()))
    of_humans = _rarely(y, groups.labelled, confidence)
    of_judge = 2 * _rarely((y - f) / 2, groups.labelled, confidence)
    unseen = weight * of_judge + (1 - weight) * of_humans
    reach = np.hypot(quantile * errors[0], unseen)
    alone = np.maximum(quantile * errors[1], of_humans)
    low, high = _ends(estimate, reach)
    human_low, human_high = _ends(float(y.mean()), alone)
    varied = y.std() > 0 and f.std() > 0
    return Powered(
        difference=estimate,
        low=low,
        high=high,
        weight=weight,
        human=float(y.mean()),
        human_low=human_low,
        human_high=human_high,
        judge=float(np.concatenate([f, rest]).mean()),
        labels=int(y.size),
        judged=int(rest.size),
        effective=y.size * float(alone.sum() / reach.sum()) ** 2,
        correlation=float(np.corrcoef(y, f)[0, 1]) if varied else math.nan,
    )


def _weighted(
    y: Floats, f: Floats, rest: Floats, groups: _Groups
) -> tuple[float, tuple[float, float], float]:
    """Return the judge's weight, standard errors with and without the judge, degrees of freedom."""
    independent = _independent(groups)
    alone = _influence(y, groups.labelled, groups.total)
    judge = _influence(f, groups.labelled, groups.total)
    error = judge - _influence(rest, groups.others, groups.total)
    weight = _weight(alone, error)
    variance = float(np.sum((alone - weight * error) ** 2))
    if weight > 0:  # as for the slope of a regression: residuals are smaller than errors
        variance *= independent / (independent - 2)
    return weight, (math.sqrt(variance), math.sqrt(float(alone @ alone))), independent - 1


def _groups(
    labels: int, judged: int, clusters: tuple[Sequence[str], Sequence[str]] | None
) -> _Groups:
    if clusters is None:
        count = labels + judged
        return _Groups(np.arange(labels), np.arange(labels, count), count)
    if (len(clusters[0]), len(clusters[1])) != (labels, judged):
        raise ValueError(
            f"clusters: expected {labels} and {judged} names, received {len(clusters[0])} and"
            f" {len(clusters[1])}"
        )
    index = indices([*clusters[0], *clusters[1]])
    return _Groups(index[:labels], index[labels:], int(index.max()) + 1)


def _independent(groups: _Groups) -> float:
    """Return how many clusters of equal size the labelled ones are worth."""
    sizes = np.bincount(groups.labelled)
    independent = worth(sizes)
    if independent < FEWEST_CLUSTERS:
        raise DataError(
            f"human labels: they lie in {np.count_nonzero(sizes)} clusters, worth"
            f" {independent:.1f} of equal size; at least {FEWEST_CLUSTERS} are needed for a valid"
            " interval",
            next_command="have humans label prompts of more clusters, drawn at random",
        )
    largest = int(np.bincount(groups.others).max())
    if 2 * largest > groups.others.size:
        raise DataError(
            f"prompts that only the judge labelled: {largest} of {groups.others.size} are one"
            " cluster, at most half may be",
            next_command="have the judge label prompts of more clusters",
        )
    return independent


def _influence(values: Floats, index: NDArray[np.intp], count: int) -> Floats:
    """Return what each cluster adds to the error of the mean of the values, shape (count,).

    The sum of their squares is the variance of the mean. The residuals of a cluster belong to the
    mean themselves; 1 / (1 - share of the cluster) makes up for that, n / (n - 1) without clusters.
    """
    sums = np.bincount(index, weights=values - values.mean(), minlength=count)
    share = np.bincount(index, minlength=count) / values.size
    return np.asarray(sums / values.size / np.sqrt(1 - share), dtype=np.float64)


def _rarely(values: Floats, index: NDArray[np.intp], confidence: float) -> Floats:
    """Return how far below and above its estimate the mean may lie if few clusters deviate, shape (2,).

    Both are 0 if more do, so that their spread can be estimated.

    Args:
        values: Values in [-1, 1] of the labelled prompts, shape (n,).
        index: Cluster of each, shape (n,).
        confidence: Confidence level of the two-sided interval, in (0, 1).
    """
    sizes = np.bincount(index)
    means = (np.bincount(index, weights=values) / np.maximum(sizes, 1))[sizes > 0]
    mean = float(values.mean())
    found = rare(means.round(DIGITS), mean, confidence)
    return np.zeros(2) if found is None else np.array([mean - found.low, found.high - mean])


def _weight(alone: Floats, error: Floats) -> float:
    """Return the weight of least variance, the slope of ``alone`` on ``error``, within [0, 1]."""
    spread = float(error @ error)
    return min(1.0, max(0.0, float(alone @ error) / spread)) if spread > 0 else 0.0


def _ends(middle: float, distances: Floats) -> tuple[float, float]:
    return max(-1.0, middle - float(distances[0])), min(1.0, middle + float(distances[1]))


def _labels(values: ArrayLike, name: str) -> Floats:
    labels = np.asarray(values, dtype=np.float64)
    if labels.ndim != 1 or not np.all((labels >= -1) & (labels <= 1)):  # NaN fails too
        raise ValueError(f"{name}: expected numbers in [-1, 1] in one dimension")
    return labels


def _enough(labels: int, judged: int) -> None:
    if labels < FEWEST:
        raise DataError(
            f"human labels: received {labels}, at least {FEWEST} are needed for a valid interval",
            next_command=f"have humans label {FEWEST - labels} more prompts, drawn at random",
        )
    if judged < 2:
        raise DataError(
            f"prompts that only the judge labelled: received {judged}, at least 2 are needed",
            next_command="use the human labels alone, or have the judge label more prompts",
        )
