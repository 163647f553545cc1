"""Sample size: the prompts that a claim needs, and the power and MDE of a number of prompts.

Nothing is promised by a formula: the product's own test is simulated on data drawn for the assumptions
(``simulation/``), or its power is summed exactly (one test of wins and losses). The normal formula for
paired differences, z-values times the standard deviation over the distance from the bar, only gives the
number of prompts at which the search starts (Miettinen 1968, Biometrics 24(2), 339-352).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from scipy import special

from llmops.stats.result import Method
from llmops.stats.simulation import Design, run

SIMULATIONS = 4_000
"""Simulated comparisons of a reported power: its standard error is at most 0.008."""
COARSE = 8
"""How many times fewer simulations each step of a search takes."""
MOST_PROMPTS, MOST_DRAWN = 1_000_000, 20_000
"""Largest suites that are planned: by counts of wins and losses, and with drawn scores."""
PRECISION = 0.02
"""Relative width at which a search ends; sums that are exact are searched to the last prompt."""
TOLERANCE = 0.005
"""How far below the requested power the power of a plan may be."""


class OutOfReachError(ValueError):
    """No suite that is worth a try has the requested power."""


class Planned(NamedTuple):
    """The power and cost of a comparison.

    Attributes:
        prompts: Prompts of the suite.
        power: Probability that the claim is shown.
        error: Standard error of ``power`` by simulation; 0 if it was computed exactly.
        mean: Prompts asked on average.

    Example:
        from llmops.stats import Design, simulated_power

        plan = simulated_power(Design(discordance=0.2), 0.1, prompts=200)
        assert plan.mean < plan.prompts  # many comparisons stop early
    """

    prompts: int
    power: float
    error: float
    mean: float


def simulated_power(
    design: Design,
    difference: float,
    prompts: int,
    method: Method = "spend",
    *,
    simulations: int = SIMULATIONS,
    seed: int = 0,
) -> Planned:
    """Return the power of a comparison, and the prompts that it asks on average.

    Args:
        design: Claim and assumptions.
        difference: True mean difference, above the bar.
        prompts: Prompts of the suite, at least 1.
        method: See ``SequentialTest``.
        simulations: Number of simulated comparisons.
        seed: Seed of the simulation.

    Raises:
        ValueError: The difference is impossible or not above the bar, or the suite is too large to
            be simulated.

    Example:
        from llmops.stats import Design, simulated_power

        plan = simulated_power(Design(bar=-0.05, discordance=0.02), 0.0, 62, "fixed")
        assert plan.power < 0.4  # the normal formula promises 0.8
    """
    design.check(difference)
    _check_prompts(design, prompts)
    found = run(design, difference, prompts, method, simulations, seed)
    return Planned(prompts, found.power, found.error, found.mean)


def prompts_needed(
    design: Design,
    difference: float,
    wanted: float = 0.8,
    method: Method = "spend",
    *,
    simulations: int = SIMULATIONS,
    seed: int = 0,
) -> Planned:
    """Return the suite at which a comparison has the requested power.

    Args:
        design: Claim and assumptions.
        difference: True mean difference, above the bar.
        wanted: Requested power, in (0, 1).
        method: See ``SequentialTest``.
        simulations: Number of simulated comparisons of the result.
        seed: Seed of the simulation.

    Raises:
        ValueError: The difference is impossible or not above the bar, or the power is outside (0, 1).
        OutOfReachError: No suite has the power, such as with few clusters.

    Example:
        from llmops.stats import Design, prompts_needed

        plan = prompts_needed(Design(discordance=0.3), 0.15, method="fixed")
        assert (plan.prompts, round(plan.power, 2)) == (112, 0.8)
    """
    _check_power(wanted)
    design.check(difference)

    def power(prompts: int, runs: int) -> Planned:
        return simulated_power(design, difference, prompts, method, simulations=runs, seed=seed)

    coarse = max(1, simulations // COARSE)
    exact = design.ternary and method == "fixed"
    start, most = _start(design, difference, wanted), _most(design)
    if design.clusters is not None or start >= most:
        _check_reach(power(most, coarse), wanted, design)
    low, high = _bracket(lambda n: power(n, coarse).power >= wanted, start, most)
    while high - low > (1 if exact else max(1, PRECISION * low)):
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle, coarse).power >= wanted else (middle, high)
    plan = power(high, simulations)
    while plan.power < wanted - TOLERANCE and plan.prompts < most:
        plan = power(max(plan.prompts + 1, round(plan.prompts * (1 + PRECISION))), simulations)
    return plan


def detectable(
    design: Design,
    prompts: int,
    wanted: float = 0.8,
    method: Method = "spend",
    *,
    simulations: int = SIMULATIONS,
    seed: int = 0,
) -> float | None:
    """Return the minimum detectable effect (MDE): the smallest gain that is shown with this power.

    Args:
        design: Assumptions; its bar is taken as 0.
        prompts: Prompts of the suite.
        wanted: Requested power, in (0, 1).
        method: See ``SequentialTest``.
        simulations: Number of simulated comparisons; the search takes an eighth of them at each step.
        seed: Seed of the simulation.

    Returns:
        A true difference above 0; ``None`` if even the largest that the assumptions allow has less
        power.

    Raises:
        ValueError: The power is outside (0, 1), or the suite is too large to be simulated.

    Example:
        from llmops.stats import Design, detectable

        mde = detectable(Design(discordance=0.2), prompts=500, method="fixed")
        assert round(mde, 3) == 0.057
    """
    _check_power(wanted)
    _check_prompts(design, prompts)
    gain = replace(design, bar=0.0)

    def enough(difference: float) -> bool:
        found = run(gain, difference, prompts, method, max(1, simulations // COARSE), seed)
        return found.power >= wanted

    if prompts < 2 or not enough(gain.largest):
        return None
    low, high = _around(enough, _start_of_difference(gain, prompts, wanted), gain.largest)
    width = 1e-4 if design.ternary and method == "fixed" else PRECISION  # sums are exact
    while high > (1 + width) * low:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _check_power(wanted: float) -> None:
    if not 0 < wanted < 1:
        raise ValueError(f"power: expected a number between 0 and 1, received {wanted}")


def _check_prompts(design: Design, prompts: int) -> None:
    """Refuse a suite that would take hours or hundreds of gigabytes."""
    most = MOST_PROMPTS if design.ternary else MOST_DRAWN
    if prompts > most:
        raise ValueError(
            f"prompts: expected at most {most:,}, received {prompts:,}; the power of {most:,} is a"
            " lower bound"
        )


def _most(design: Design) -> int:
    """Return the largest suite that is worth a try; more prompts of the same clusters add little."""
    if design.ternary:
        return MOST_PROMPTS
    if design.clusters is None or design.icc == 0:
        return MOST_DRAWN
    alone = math.ceil(20 / design.icc)  # prompts of a cluster that say 95% of what it can say
    return min(MOST_DRAWN, design.clusters * alone)


def _check_reach(largest: Planned, wanted: float, design: Design) -> None:
    """Refuse a power that the largest suite does not reach."""
    if largest.power >= wanted:
        return
    where = f" in {design.clusters} clusters: take more clusters" if design.clusters else ""
    raise OutOfReachError(
        f"power {wanted:g} is out of reach; {largest.prompts:,} prompts reach"
        f" {largest.power:.2f}{where}"
    )


def _bracket(enough: Callable[[int], bool], start: int, most: int) -> tuple[int, int]:
    """Return a number of prompts that is too small, and one that is enough, or ``most``."""
    low, high, factor = 1, min(start, most), 1.15
    if enough(high):
        while high > 2:
            below = max(2, math.floor(high / factor))
            if not enough(below):
                return below, high
            high, factor = below, factor * factor
        return low, high
    while high < most:
        low, high = high, min(most, math.ceil(high * factor) + 1)
        if enough(high):
            return low, high
        factor = min(4.0, factor * factor)
    return low, most


def _around(enough: Callable[[float], bool], start: float, most: float) -> tuple[float, float]:
    """Return a difference that is too small, and one that is enough, or ``most``."""
    low = high = min(start, most)
    factor = 1.1
    if enough(high):
        while enough(low := low / factor):
            high, factor = low, factor * factor
        return low, high
    while high < most and not enough(high := min(most, high * factor)):
        low, factor = high, factor * factor
    return low, high


def _start(design: Design, difference: float, wanted: float) -> int:
    """Return the number of prompts by the normal formula, and by what unseen failures may cost."""
    distance, spread = difference - design.bar, design.spread(difference)
    z = _quantiles(design, wanted)
    size = sum(n * n for n in design.sizes) / sum(design.sizes)  # of the cluster of a random prompt
    most = math.sqrt(MOST_PROMPTS)  # keeps the square finite
    prompts = min(most, z * spread / distance) ** 2 * (1 + (size - 1) * design.icc)
    if design.clusters is not None:
        share = prompts * design.icc / design.clusters
        prompts = prompts * (1 - design.icc) / (1 - share) if share < 1 else MOST_DRAWN
    if not design.ternary:
        prompts = max(prompts, -math.log(design.alpha) * design.level / distance * size)
    return max(2, math.ceil(min(prompts, float(MOST_PROMPTS))))


def _start_of_difference(design: Design, prompts: int, wanted: float) -> float:
    """Return the detectable difference by the same formulas, for independent prompts."""
    by_spread = _quantiles(design, wanted) * design.spread(0.0) / math.sqrt(prompts)
    return by_spread if design.ternary else max(by_spread, design.level / prompts)


def _quantiles(design: Design, wanted: float) -> float:
    return -float(special.ndtri(design.alpha)) + max(0.0, float(special.ndtri(wanted)))
