"""Paired comparison of two systems on the same prompts, clusters respected.

Scores lie in [0, 1], so a difference lies in [-1, 1]. The interval is the cluster-robust
t interval (the standard error of clustered evaluation questions: Miller 2024,
arXiv:2411.00640, section 2.2, with the G/(G-1) correction and G-1 degrees of freedom of
Cameron & Miller 2015, section VI); the p-value is that of the matching t test, so that the
two never contradict each other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from llmops.records import PairedTest

POWER = 0.8
Floats = NDArray[np.float64]


def paired_test(
    baseline: Sequence[float],
    candidate: Sequence[float],
    clusters: Sequence[str] | None = None,
    *,
    confidence: float = 0.95,
) -> PairedTest:
    """Tests whether the candidate's mean score differs from the baseline's.

    Args:
        baseline: Scores in [0, 1], one for each prompt, shape (n,).
        candidate: Scores of the same prompts in the same order, shape (n,).
        clusters: Cluster of each prompt, shape (n,); prompts are independent if absent.
        confidence: Of the two-sided interval.

    Returns:
        Difference, interval, p-value, counts and the detectable difference. With fewer than
        two clusters nothing is known: the interval is [-1, 1] and p is 1. Where all
        differences are equal the sample says nothing of its own spread; the interval is then
        widened by the exact bound on how often an unseen cluster could deviate.

    Raises:
        ValueError: Lengths differ, no pairs, or a score outside [0, 1] or NaN.
    """
    before, after = _scores(baseline, "baseline"), _scores(candidate, "candidate")
    if before.shape != after.shape:
        raise ValueError(f"unpaired scores: {before.size} baseline, {after.size} candidate")
    difference = after - before
    sums, sizes = _cluster_sums(difference, clusters)
    mean, half, p_value, error = _interval(difference, sums, sizes, confidence)
    return PairedTest(
        difference=mean,
        low=max(-1.0, mean - half),
        high=min(1.0, mean + half),
        p_value=p_value,
        n=int(difference.size),
        clusters=int(sums.size),
        wins=int((difference > 0).sum()),
        ties=int((difference == 0).sum()),
        losses=int((difference < 0).sum()),
        confidence=confidence,
        detectable=_detectable(error, sums.size, confidence, half),
    )


def _scores(values: Sequence[float], side: str) -> Floats:
    scores = np.asarray(values, dtype=np.float64)
    if scores.ndim != 1 or scores.size == 0:
        raise ValueError(f"{side}: expected at least one score in one dimension")
    if not np.all((scores >= 0) & (scores <= 1)):  # NaN fails too
        raise ValueError(f"{side}: scores must be numbers in [0, 1]")
    return scores


def _cluster_sums(difference: Floats, clusters: Sequence[str] | None) -> tuple[Floats, Floats]:
    """Sum of differences and number of pairs of each cluster, both of shape (G,)."""
    if clusters is None:
        return difference, np.ones_like(difference)
    if len(clusters) != difference.size:
        raise ValueError(f"{len(clusters)} cluster names for {difference.size} pairs")
    _, index = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
    return np.bincount(index, weights=difference), np.bincount(index).astype(np.float64)


def _interval(
    difference: Floats, sums: Floats, sizes: Floats, confidence: float
) -> tuple[float, float, float, float]:
    """Mean, half width, p-value and standard error."""
    mean = float(difference.mean())
    groups = sums.size
    if groups < 2:
        return mean, 2.0, 1.0, float("inf")
    if np.ptp(difference) == 0:
        half = _unseen(groups, confidence)
        return mean, half, 1.0 if abs(mean) <= half else 1 - confidence, 0.0
    residuals = sums - mean * sizes
    variance = groups / (groups - 1) * float(residuals @ residuals) / difference.size**2
    error = float(np.sqrt(variance))
    t = stats.t(groups - 1)
    p_value = float(2 * t.sf(abs(mean) / error)) if error > 0 else 1.0
    return mean, float(t.ppf((1 + confidence) / 2)) * error, p_value, error


def _unseen(groups: int, confidence: float) -> float:
    """Clopper-Pearson upper bound on a rate that was seen 0 times in ``groups`` draws."""
    return 1.0 - float((1 - confidence) / 2) ** (1 / groups)


def _detectable(error: float, groups: int, confidence: float, half: float) -> float:
    """Smallest true difference that this design finds with 80% power (normal approximation)."""
    if groups < 2:
        return 1.0
    quantiles = stats.norm.ppf((1 + confidence) / 2) + stats.norm.ppf(POWER)
    return min(1.0, max(float(quantiles) * error, half if error == 0 else 0.0))
