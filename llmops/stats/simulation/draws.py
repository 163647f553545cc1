"""Scores drawn for the assumptions of a plan.

Wins, ties and losses are drawn with their probabilities. Other differences follow the beta
distribution on [-1, 1] with the assumed mean and standard deviation. In a cluster, each prompt repeats
the outcome of its cluster with probability sqrt(icc), and is drawn anew otherwise; two prompts of a
cluster then have the correlation icc, whatever the distribution.

Prompt i of run r is the same for every number of prompts (common random numbers): plans of different
size differ by their size alone.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import special

from llmops.stats.simulation.design import Design
from llmops.stats.units import Floats

QUANTILES = 4_096
"""Equally likely values that stand for a continuous distribution."""


class Drawn(NamedTuple):
    """Scores of simulated comparisons.

    Attributes:
        differences: Candidate minus baseline, in [-1, 1], shape (runs, n).
        candidate: Scores of the candidate, in [0, 1], shape (runs, n).
    """

    differences: Floats
    candidate: Floats


def draw(design: Design, difference: float, prompts: int, runs: int, seed: int) -> Drawn:
    """Return the scores of some comparisons.

    Args:
        design: Assumptions.
        difference: True mean difference.
        prompts: Prompts of each comparison.
        runs: Number of comparisons.
        seed: Seed; the same draws for the same ``runs`` and ``seed``.
    """
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(5)]

    def uniform(
        stream: int, count: int
    ) -> Floats:  # transposed: more prompts come behind the first
        return streams[stream].random((count, runs)).T

    where, other = uniform(0, prompts), uniform(1, prompts)
    if not design.independent and design.icc > 0:
        index = design.units(prompts)
        repeats = uniform(2, prompts) < math.sqrt(design.icc)
        groups = int(index.max()) + 1
        where = np.where(repeats, uniform(3, groups)[:, index], where)
        other = np.where(repeats, uniform(4, groups)[:, index], other)
    better = design.level if difference >= 0 else design.level + difference
    if design.discordance is not None:
        return _ternary(design.discordance, difference, better, where, other)
    return _continuous(float(design.sd or 0.0), difference, better, where, other)


def _ternary(
    discordance: float, difference: float, level: float, where: Floats, other: Floats
) -> Drawn:
    """Return wins, ties and losses, and the candidate's scores of 0 or 1."""
    wins = (discordance + difference) / 2
    differences = np.where(where < wins, 1.0, np.where(where < discordance, -1.0, 0.0))
    right = (level - wins) / (1 - discordance) if discordance < 1 else 0.0
    tied = (other < right).astype(np.float64)
    return Drawn(differences, np.where(differences == 0, tied, differences > 0))


def _continuous(sd: float, difference: float, level: float, where: Floats, other: Floats) -> Drawn:
    """Return differences, and scores that vary no more than the differences imply."""
    differences = _quantiles(sd, difference)[(where * QUANTILES).astype(np.intp)]
    noise = (other - 0.5) * math.sqrt(3) * sd  # of sd / 2, so that both sides vary alike
    scores = level + (differences - difference) / 2 + noise
    low, high = np.maximum(0.0, differences), np.minimum(1.0, 1 + differences)
    return Drawn(differences, np.clip(scores, low, high))


@lru_cache(maxsize=8)
def _quantiles(sd: float, mean: float) -> Floats:
    """Return equally likely values in [-1, 1] with this mean and standard deviation, ascending."""
    concentration = (1 - mean**2) / sd**2 - 1
    a, b = (concentration * share for share in ((1 + mean) / 2, (1 - mean) / 2))
    values = 2 * special.betaincinv(a, b, (np.arange(QUANTILES) + 0.5) / QUANTILES) - 1
    if values.std() > 0:  # what the tails beyond the outermost quantiles would add
        values = mean + (values - values.mean()) * sd / values.std()
    return np.clip(values, -1.0, 1.0)
