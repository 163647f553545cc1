"""Wins, ties and losses of independent prompts: their counts say everything, so no prompt is drawn.

The decision of ``terminal.interval`` at one bound is computed for many counts at once. For a single
test, its power is the sum of the probabilities of the counts that it rejects, without simulation.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from llmops.stats.futility import HOPELESS, OPTIMISM
from llmops.stats.simulation.design import Design
from llmops.stats.units import Floats

Bools = NDArray[np.bool_]
TAIL = 9.0
"""Standard deviations beyond which counts are neglected: they have a probability below 1e-17."""


class Look(NamedTuple):
    """A test on the way.

    Attributes:
        prompts: Prompts seen.
        level: One-sided level of the test there.
        time: Share of all prompts seen, in (0, 1].
    """

    prompts: int
    level: float
    time: float


def exact_power(design: Design, difference: float, prompts: int) -> float:
    """Return the probability that one test of all prompts shows the claim.

    Args:
        design: Claim about wins and losses of independent prompts.
        difference: True mean difference.
        prompts: Number of prompts.
    """
    share = float(design.discordance or 0.0)
    chances = (share + difference) / 2, (share - difference) / 2
    wins, losses = (_likely(prompts, chance) for chance in chances)
    w, x = np.meshgrid(wins, losses, indexing="ij")
    possible = w + x <= prompts
    w, x = w[possible], x[possible]
    shown = excludes(w, x, prompts, design.bar, design.alpha)
    w, x = w[shown], x[shown]
    ties = prompts - w - x
    log_chance: Floats = special.gammaln(np.full_like(w, prompts + 1))
    for count, chance in ((w, chances[0]), (x, chances[1]), (ties, 1 - share)):
        log_chance = log_chance + special.xlogy(count, max(0.0, chance))
        log_chance = log_chance - special.gammaln(count + 1)
    return float(min(1.0, np.exp(log_chance).sum()))


def _likely(prompts: int, chance: float) -> Floats:
    """Return the counts of an outcome that are not practically impossible."""
    middle = prompts * chance
    reach = TAIL * math.sqrt(max(0.0, middle * (1 - chance))) + 2 * TAIL
    low, high = max(0, math.floor(middle - reach)), min(prompts, math.ceil(middle + reach))
    return np.arange(low, high + 1, dtype=np.float64)


def excludes(wins: Floats, losses: Floats, prompts: int, bound: float, level: float) -> Bools:
    """Return whether the lower end of ``terminal.interval`` exceeds a bound, for each pair of counts.

    Args:
        wins: Numbers of wins, any shape.
        losses: Numbers of losses, the same shape.
        prompts: Number of prompts.
        bound: Difference that must be exceeded, in (-1, 1).
        level: One-sided level.
    """
    if prompts < 2:
        return np.zeros(np.shape(wins), dtype=bool)
    shown: Bools = _score(wins, losses, prompts, bound) >= -special.ndtri(level)
    shown &= wins - losses > prompts * bound
    if bound >= 0:  # the interval includes 0 unless McNemar's exact test rejects
        w, x = wins[shown], losses[shown]
        shown[shown] = special.bdtrc(w - 1, (w + x).astype(np.intp), 0.5) <= level
    return shown


def _score(wins: Floats, losses: Floats, n: int, mean: float) -> Floats:
    """Return Tango's score, as ``terminal.py`` does for a single pair of counts."""
    b = -wins - losses + (2 * n - wins + losses) * mean
    c = -losses * mean * (1 - mean)
    loss = (np.sqrt(np.maximum(0.0, b * b - 8 * n * c)) - b) / (4 * n)
    variance = np.maximum(0.0, n * (2 * loss + mean * (1 - mean)))
    distance = wins - losses - n * mean
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(distance == 0, 0.0, distance / np.sqrt(variance))


def first_decision(
    design: Design, difference: float, looks: list[Look], runs: int, seed: int
) -> tuple[Bools, NDArray[np.intp]]:
    """Simulate comparisons by their counts, as ``SequentialTest`` decides them.

    Args:
        design: Claim about wins and losses of independent prompts.
        difference: True mean difference.
        looks: Tests in order; the last one at all prompts.
        runs: Number of comparisons.
        seed: Seed of the draws.

    Returns:
        Whether each comparison shows the claim, and the prompts that it used, shapes (runs,).
    """
    rng, share = np.random.default_rng(seed), float(design.discordance or 0.0)
    chances = np.clip([(share + difference) / 2, (share - difference) / 2, 1 - share], 0.0, 1.0)
    passed, used = np.zeros(runs, dtype=bool), np.full(runs, looks[-1].prompts)
    left, before = np.arange(runs), 0
    wins, losses = np.zeros(runs), np.zeros(runs)
    for look in looks:
        drawn = rng.multinomial(look.prompts - before, chances / chances.sum(), left.size)
        wins, losses, before = wins + drawn[:, 0], losses + drawn[:, 1], look.prompts
        if look.level <= 0:
            continue
        shown = excludes(wins, losses, look.prompts, design.bar, look.level)
        over = shown | _failed(design, wins, losses, look)
        passed[left[shown]], used[left[over]] = True, look.prompts
        left, wins, losses = left[~over], wins[~over], losses[~over]
    return passed, used


def _failed(design: Design, wins: Floats, losses: Floats, look: Look) -> Bools:
    """Return whether a comparison fails at a look: a loss beyond the bar, or futility."""
    bar, n = design.bar, look.prompts
    failed = excludes(losses, wins, n, -bar, look.level)
    if bar >= 0 or look.time >= 1:
        return failed
    mean = (wins - losses) / n
    error = np.sqrt(np.maximum(0.0, (wins + losses) / n - mean**2) / max(1, n - 1))
    final = error * math.sqrt(look.time)
    expected = mean + (1 - look.time) * OPTIMISM * error
    needed = bar - special.ndtri(design.alpha) * final
    with np.errstate(divide="ignore", invalid="ignore"):
        power = special.ndtr((expected - needed) / (math.sqrt(1 - look.time) * final))
    hopeless = np.where(final == 0, expected < needed, power < HOPELESS)
    worse = excludes(losses, wins, n, 0.0, look.level)
    return failed | (worse & (mean <= bar) & hopeless)
