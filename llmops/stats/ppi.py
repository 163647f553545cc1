"""Few human labels and many of a judge: prediction-powered inference for a mean difference.

The judge's mean over all prompts is corrected by what humans say of its error on the prompts that
both labelled. The weight of the judge is estimated so that the variance is least, which makes the
estimate never much worse than that of the humans alone (PPI++: Angelopoulos, Duchi & Zrnic 2023,
arXiv:2311.01453, example 6.1; PPI: Angelopoulos et al. 2023, Science 382, 669-674).

The labelled prompts must be drawn at random from all: labels of the worst answers alone are not.
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
"""Human labels: below, the normal interval covers less than it says."""


@dataclass(frozen=True)
class Powered:
    """A mean difference as humans would judge it.

    Attributes:
        difference: Estimate.
        low: Lower end of the two-sided interval.
        high: Upper end.
        weight: Of the judge, in [0, 1]; 0 uses the humans alone.
        human: Mean of the human labels alone.
        judge: Mean of the judge over all prompts, uncorrected.
        labels: Human labels, n.
        judged: Prompts with the judge's label alone, N.
        effective: Human labels that would be as precise by themselves.
        correlation: Of human and judge on the prompts both labelled; NaN if one never varies.
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
    """Estimates the mean paired difference that humans would give to all prompts.

    Args:
        human: Differences by humans, in [-1, 1], shape (n,).
        judge: Of the same prompts by the judge, shape (n,).
        judge_only: Of the other prompts by the judge, shape (N,).
        confidence: Of the two-sided interval.

    Raises:
        DataError: Fewer than 50 human labels, or no prompt with a judge's label alone.
        ValueError: Lengths differ, a number outside [-1, 1], or a confidence outside (0, 1).
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
    """The weight of least variance: Cov(y, f) / ((1 + n / N) Var f), kept in [0, 1]."""
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
            next_command=f"let humans label {FEWEST - labels} more prompts, drawn at random",
        )
    if judged < 2:
        raise DataError(
            f"prompts with the judge's label alone: received {judged}, at least 2 are needed",
            next_command="compare the human labels alone, or let the judge label more prompts",
        )
