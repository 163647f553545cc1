"""Sample size: the prompts that a claim needs, and the power and MDE of a number of prompts.

The mean of n differences is nearly normal. A true difference d is therefore shown to exceed a bar b
with probability Phi(((d - b) sqrt(n) - z s0) / s1), where z is the upper alpha quantile, and s0 and
s1 are the standard deviations of the differences if their mean is b and d. For wins, ties and losses
with discordance q (the share of prompts where the sides differ) the variance is q - d^2 (Miettinen
1968, Biometrics 24(2), 339-352; Connor 1987, Biometrics 43(1), 207-211, for b = 0). One formula
covers superiority (b = 0), superiority by a margin (b > 0) and non-inferiority (b = -margin).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import special

from llmops.stats.eprocess import log_e_values
from llmops.stats.sequential import HYBRID_SHARE

SIMULATIONS = 2_000
"""Most simulated comparisons for the mean number of prompts."""
MOST_SIMULATED = 20_000
"""Most prompts for which the mean use is simulated; more would take seconds and much memory."""


@dataclass(frozen=True)
class Design:
    """A claim to be shown, and the assumptions of its sample size.

    Attributes:
        bar: Difference that must be exceeded, in (-1, 1): 0, a margin, or minus a margin.
        discordance: Share of prompts with a win or a loss, in (0, 1]; ``None`` if ``sd`` is given.
        sd: Standard deviation of the differences, in (0, 1]; ``None`` if ``discordance`` is given.
        alpha: Level of the test, in (0, 0.5); one-sided unless ``two_sided``.
        two_sided: Whether a difference in either direction counts.

    Raises:
        ValueError: A number is outside its range, or not exactly one of discordance and sd is given.

    Example:
        from llmops.stats import Design, prompts_needed

        # An improvement by 5 points, where the sides differ on 20% of the prompts.
        assert prompts_needed(Design(discordance=0.2), 0.05) == 493
        # Not worse by more than 5 points, if there is no true difference.
        assert prompts_needed(Design(bar=-0.05, discordance=0.2), 0.0) == 491
    """

    bar: float = 0.0
    discordance: float | None = None
    sd: float | None = None
    alpha: float = 0.05
    two_sided: bool = False

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: See the class.
        """
        if (self.discordance is None) == (self.sd is None):
            raise ValueError("give either the discordance or the sd")
        if not 0 < (self.discordance or self.sd or 0.0) <= 1:
            raise ValueError("discordance and sd: expected a number above 0, at most 1")
        if not -1 < self.bar < 1:
            raise ValueError(f"bar: expected a number between -1 and 1, received {self.bar}")
        if not 0 < self.alpha < 0.5:
            raise ValueError(f"alpha: expected a number between 0 and 0.5, received {self.alpha}")

    @property
    def quantile(self) -> float:
        """Standard normal quantile of the level, above 0."""
        return float(-special.ndtri(self.alpha / 2 if self.two_sided else self.alpha))

    @property
    def largest(self) -> float:
        """Largest possible difference: the discordance, or 1 without it."""
        return 1.0 if self.discordance is None else self.discordance

    def spread(self, difference: float) -> float:
        """Return the standard deviation of the differences if ``difference`` is their mean.

        Raises:
            ValueError: The mean exceeds the discordance.
        """
        if self.discordance is None:
            return float(self.sd or 0.0)
        if abs(difference) > self.discordance:
            raise ValueError(
                f"difference {difference:g}: more than the discordance {self.discordance:g}"
            )
        return math.sqrt(self.discordance - difference**2)

    def at(self, alpha: float) -> Design:
        """Return the same design at another level."""
        return Design(self.bar, self.discordance, self.sd, alpha, self.two_sided)


def power(design: Design, difference: float, prompts: float) -> float:
    """Return the probability that the claim is shown.

    Args:
        design: Claim and assumptions.
        difference: True mean difference, in [-1, 1].
        prompts: Number of prompts.

    Returns:
        The power, in [0, 1].

    Raises:
        ValueError: The difference exceeds the discordance.
    """
    gap, spread = (difference - design.bar) * math.sqrt(prompts), design.spread(difference)
    reach = _threshold(design)
    if spread == 0:  # every discordant prompt goes one way, and every prompt is discordant
        return float(gap > reach)
    shown = special.ndtr((gap - reach) / spread)
    if design.two_sided:
        shown += special.ndtr(-(reach + gap) / spread)
    return float(shown)


def prompts_needed(design: Design, difference: float, wanted: float = 0.8) -> int:
    """Return the number of prompts at which one final test has the requested power.

    Args:
        design: Claim and assumptions.
        difference: True mean difference, above the bar.
        wanted: Requested power, in (0, 1).

    Returns:
        Number of prompts, at least 2.

    Raises:
        ValueError: The difference is not above the bar or exceeds the discordance, or the power
            is outside (0, 1).

    Example:
        from llmops.stats import Design, prompts_needed

        design = Design(discordance=0.3, alpha=0.05, two_sided=True)
        assert prompts_needed(design, 0.08, wanted=0.8) == 366
    """
    if not 0 < wanted < 1:
        raise ValueError(f"power: expected a number between 0 and 1, received {wanted}")
    distance = difference - design.bar
    if design.two_sided:
        distance = abs(distance)
    if not distance > 0:  # NaN neither
        raise ValueError(f"difference {difference:g}: not beyond the bar {design.bar:g}")
    reach = _threshold(design) + float(special.ndtri(wanted)) * design.spread(difference)
    return max(2, math.ceil((max(0.0, reach) / distance) ** 2))


def detectable(design: Design, prompts: int, wanted: float = 0.8) -> float | None:
    """Return the minimum detectable effect (MDE): the distance beyond the bar shown with this power.

    Args:
        design: Claim and assumptions.
        prompts: Number of prompts.
        wanted: Requested power, in (0, 1).

    Returns:
        The smallest distance from the bar, in (0, 2); ``None`` if even the largest difference
        that the discordance allows has less power.

    Example:
        from llmops.stats import Design, detectable

        mde = detectable(Design(discordance=0.2), prompts=500)
        assert round(mde, 3) == 0.05
    """
    from scipy import optimize  # here: slow to import, and most comparisons do not need it

    room = design.largest - design.bar
    least = max(1e-12, -design.largest - design.bar)

    def lacking(distance: float) -> float:
        difference = min(max(design.bar + distance, -design.largest), design.largest)
        return power(design, difference, prompts) - wanted

    if prompts < 1 or lacking(room) < 0:
        return None
    if lacking(least) >= 0:
        return least
    return float(optimize.brentq(lacking, least, room, xtol=1e-9))


class HybridPlan(NamedTuple):
    """Number of prompts of a sequential comparison with method ``hybrid``.

    Attributes:
        cap: Largest number of prompts.
        mean: Mean number of prompts used if the difference is as assumed; ``None`` if not
            simulated.

    Example:
        from llmops.stats import Design, hybrid_plan

        plan = hybrid_plan(Design(discordance=0.2), 0.1)
        assert plan.mean < plan.cap  # many comparisons stop early
    """

    cap: int
    mean: float | None


def hybrid_plan(
    design: Design, difference: float, wanted: float = 0.8, *, block: int = 25, seed: int = 0
) -> HybridPlan:
    """Plan a comparison with method ``hybrid``: the prompts its last test needs.

    The last test has its share of alpha. Earlier looks only add power, so the cap is conservative.
    The mean use is simulated, for one-sided claims about wins and losses only.

    Args:
        design: Claim and assumptions.
        difference: True mean difference, above the bar.
        wanted: Requested power, in (0, 1).
        block: Prompts between two looks.
        seed: Seed of the simulation.

    Returns:
        Largest and mean number of prompts.

    Raises:
        ValueError: The difference is not above the bar or exceeds the discordance, or the power
            is outside (0, 1).

    Example:
        from llmops.stats import Design, hybrid_plan

        plan = hybrid_plan(Design(discordance=0.2), 0.05)
        assert plan.cap == 536
    """
    cap = prompts_needed(design.at(design.alpha * (1 - HYBRID_SHARE)), difference, wanted)
    if design.discordance is None or design.two_sided or cap > MOST_SIMULATED:
        return HybridPlan(cap, None)
    return HybridPlan(cap, _mean_use(design, difference, cap, block, seed))


def _mean_use(design: Design, difference: float, cap: int, block: int, seed: int) -> float:
    """Return the mean number of prompts at which the e-process decides; the cap if it never does."""
    rng, share = np.random.default_rng(seed), float(design.discordance or 0.0)
    runs = max(200, min(SIMULATIONS, 2_000_000 // cap))
    wins = (share + difference) / 2
    uniform = rng.random((runs, cap))
    drawn = np.where(uniform < wins, 1.0, np.where(uniform < share, -1.0, 0.0))
    looks = np.arange(block - 1, cap, block)
    if looks.size == 0:
        return float(cap)
    needed = -math.log(design.alpha * HYBRID_SHARE)
    decided = log_e_values(drawn, design.bar)[:, looks] >= needed
    failed = log_e_values(-drawn, -max(0.0, design.bar))[:, looks] >= needed
    over = decided | failed
    used = np.where(over.any(axis=1), looks[over.argmax(axis=1)] + 1, cap)
    return float(used.mean())


def _threshold(design: Design) -> float:
    """Return the smallest significant distance from the bar, times the square root of n."""
    bar = max(-design.largest, min(design.largest, design.bar))
    return design.quantile * design.spread(bar)
