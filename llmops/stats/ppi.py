"""Prediction-powered inference: a mean difference from few human labels and many of a judge.

The judge's mean over all prompts is corrected by its error on the prompts that humans labelled too.
The judge's weight minimises the estimated variance, so the estimate is never much worse than that
of the human labels alone (PPI++: Angelopoulos, Duchi & Zrnic 2023, arXiv:2311.01453, example 6.1;
PPI: Angelopoulos et al. 2023, Science 382, 669-674).

Humans must label a random sample of the prompts, not, for instance, only the worst answers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from llmops.errors import DataError
from llmops.stats.units import Floats

FEWEST = 50
"""Fewest human labels: with fewer, the normal interval covers less than its confidence level."""


@dataclass(frozen=True)
class Powered:
    """Estimate of the mean difference that humans would give to all prompts, in [-1, 1].

    Attributes:
        difference: Estimated mean difference.
        low: Lower end of the two-sided interval.
        high: Upper end of the two-sided interval.
        weight: Weight of the judge, in [0, 1]; 0 uses human labels only.
        human: Mean of the human labels.
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
    judge: float
    labels: int
    judged: int
    effective: float
    correlation: float


def powered_mean(
    human: ArrayLike, judge: ArrayLike, judge_only: ArrayLike, *, confidence: float = 0.95
) -> Powered:
    """Estimate the mean paired difference that humans would give to all prompts.

    Args:
        human: Differences by humans, in [-1, 1], shape (n,).
        judge: Differences by the judge on the same prompts, in [-1, 1], shape (n,).
        judge_only: Differences by the judge on the other prompts, in [-1, 1], shape (N,).
        confidence: Confidence level of the two-sided interval, in (0, 1).

    Returns:
        The estimate, its interval, and the judge's weight.

    Raises:
        DataError: There are fewer than 50 human labels, or fewer than two prompts that only the
            judge labelled.
        ValueError: The lengths differ, a number is outside [-1, 1], or the confidence is outside
            (0, 1).

    Example:
        from llmops.stats import powered_mean

        human, judge, judge_only = [1.0, -1.0, 0.0] * 20, [1.0, 0.0, 0.0] * 20, [1.0, 0.0] * 250
        result = powered_mean(human, judge, judge_only)
        assert result.low < result.difference < result.high
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: expected a number between 0 and 1, received {confidence}")
    y, f, rest = _labels(human, "human"), _labels(judge, "judge"), _labels(judge_only, "judge_only")
    if y.shape != f.shape:
        raise ValueError(f"unpaired labels: {y.size} human, {f.size} of the judge")
    _enough(y.size, rest.size)
    weight = _weight(y, f, rest)
    estimate = weight * rest.mean() + np.mean(y - weight * f)
    variance = weight**2 * rest.var(ddof=1) / rest.size + np.var(y - weight * f, ddof=1) / y.size
    half = float(special.ndtri((1 + confidence) / 2)) * math.sqrt(variance)
    varied = y.std() > 0 and f.std() > 0
    return Powered(
        difference=float(estimate),
        low=max(-1.0, float(estimate) - half),
        high=min(1.0, float(estimate) + half),
        weight=weight,
        human=float(y.mean()),
        judge=float(np.concatenate([f, rest]).mean()),
        labels=int(y.size),
        judged=int(rest.size),
        effective=float(y.var(ddof=1) / variance) if variance > 0 else float(y.size),
        correlation=float(np.corrcoef(y, f)[0, 1]) if varied else math.nan,
    )


def _weight(y: Floats, f: Floats, rest: Floats) -> float:
    """Return the weight of least variance: Cov(y, f) / ((1 + n / N) Var f), clipped to [0, 1]."""
    spread = float(np.concatenate([f, rest]).var(ddof=1))
    if spread == 0:
        return 0.0
    shared = float(np.cov(y, f)[0, 1])
    return min(1.0, max(0.0, shared / ((1 + y.size / rest.size) * spread)))


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
