"""The interval of one side's own mean score, which a floor is held against.

Right and wrong answers to independent prompts have the exact binomial interval (Clopper & Pearson
1934, Biometrika 26(4), 404-413). Other scores, and prompts in clusters, have the outermost of the
intervals in ``terminal.py``: by clusters, corrected for skewness, and with failures that the sample is
too small to contain. A system that nearly always succeeds looks free of error in a small sample.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from llmops.stats.terminal import ends
from llmops.stats.units import DIGITS, Units, cluster_sums


def mean_interval(
    scores: ArrayLike, clusters: Sequence[str] | None = None, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Return the two-sided interval of a mean score; each end takes half of the error.

    Args:
        scores: Scores in [0, 1], shape (n,).
        clusters: Cluster name of each prompt, shape (n,); without it, prompts are independent.
        confidence: Confidence of the interval, in (0, 1).

    Returns:
        Ends in [0, 1]; (0, 1) with fewer than two clusters.

    Raises:
        ValueError: A score is NaN or outside [0, 1], there is not one cluster name for each, or the
            confidence is outside (0, 1).

    Example:
        from llmops.stats import mean_interval

        low, high = mean_interval([1.0] * 40)
        assert round(low, 3) == 0.912 and high == 1.0
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: expected a number between 0 and 1, received {confidence}")
    values = np.asarray(scores, dtype=np.float64).round(DIGITS)
    if values.ndim != 1 or not np.all((values >= 0) & (values <= 1)):  # NaN fails too
        raise ValueError("scores: expected numbers in [0, 1], in one dimension")
    sums, sizes = cluster_sums(values, clusters)
    if sums.size < 2:
        return 0.0, 1.0
    alpha = (1 - confidence) / 2
    if np.all(sizes == 1) and np.isin(sums, (0.0, 1.0)).all():
        return _binomial(int(sums.sum()), sums.size, alpha)
    low, high = ends(Units(sums, sizes, falls=sums, rises=sizes - sums), alpha)
    return max(0.0, low), min(1.0, high)


def _binomial(successes: int, n: int, alpha: float) -> tuple[float, float]:
    """Return the ends of the Clopper-Pearson interval, each with error ``alpha``."""
    low = special.betaincinv(successes, n - successes + 1, alpha) if successes else 0.0
    high = special.betaincinv(successes + 1, n - successes, 1 - alpha) if successes < n else 1.0
    return float(low), float(high)
