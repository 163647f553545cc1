"""How many prompts a claim needs, and what a number of prompts can show.

The mean of n differences with standard deviation s is nearly normal, so a difference d is told from
a bar b with probability Phi(((d - b) sqrt(n) - z s0) / s1), z the upper alpha quantile, s0 and s1
the standard deviations if the difference is b and d. For wins, ties and losses with discordance q
(the share of prompts where the sides differ) the variance is q - d^2 (Miettinen 1968, Biometrics
24(2), 339-352; Connor 1987, Biometrics 43(1), 207-211, for b = 0). One formula covers superiority
(b = 0), superiority by a margin (b > 0) and non-inferiority (b = -margin).
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
MOST_SIMULATED = 20_000
"""Prompts; beyond this the mean use is not simulated (seconds and memory)."""


@dataclass(frozen=True)
class Design:
    """What is to be shown, and what is assumed.

    Attributes:
        bar: The claim is "the mean difference is above this": 0, a margin, or its negative.
        discordance: Share of prompts with a win or a loss, in (0, 1]; for other scores ``None``.
        sd: Standard deviation of the differences, in (0, 1]; for wins and losses ``None``.
        alpha: Level, one-sided unless ``two_sided``.
    """

    bar: float = 0.0
    discordance: float | None = None
    sd: float | None = None
    alpha: float = 0.05
    two_sided: bool = False

    def __post_init__(self) -> None:
        """Refuses what cannot be.

        Raises:
            ValueError: A number outside its range, or not exactly one of discordance and sd.
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
        """Upper quantile of the level."""
        return float(-special.ndtri(self.alpha / 2 if self.two_sided else self.alpha))

    @property
    def largest(self) -> float:
        """The largest difference that can be: the discordance."""
        return 1.0 if self.discordance is None else self.discordance

    def spread(self, difference: float) -> float:
        """Standard deviation of the differences if this is their mean.

        Raises:
            ValueError: No share of wins and losses has this mean.
        """
        if self.discordance is None:
            return float(self.sd or 0.0)
        if abs(difference) > self.discordance:
            raise ValueError(
                f"difference {difference:g}: more than the discordance {self.discordance:g}"
            )
        return math.sqrt(self.discordance - difference**2)

    def at(self, alpha: float) -> Design:
        """The same design at another level."""
        return Design(self.bar, self.discordance, self.sd, alpha, self.two_sided)


def power(design: Design, difference: float, prompts: float) -> float:
    """Probability of showing the claim.

    Args:
        design: The claim.
        difference: The true one.
        prompts: How many.

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
    """Prompts for the power wanted, decided by one test at the end.

    Args:
        design: The claim.
        difference: The true one, on the claim's side of the bar.
        wanted: Power, in (0, 1).

    Raises:
        ValueError: The difference is not above the bar, exceeds the discordance, or the power is
            outside (0, 1).
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
    """Smallest distance beyond the bar that is shown with the power wanted.

    Returns:
        The distance, such as the minimum detectable difference for bar 0; ``None`` if not even
        the largest difference that the discordance allows is shown so often.
    """
    from scipy import optimize  # here: most comparisons never get here, and start sooner

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
    """A sequential comparison of the default method.

    Attributes:
        cap: Prompts at most.
        mean: Prompts used on average if the difference is as assumed; ``None`` if not simulated.
    """

    cap: int
    mean: float | None


def hybrid_plan(
    design: Design, difference: float, wanted: float = 0.8, *, block: int = 25, seed: int = 0
) -> HybridPlan:
    """Prompts for the method ``hybrid``: what its last test needs at its share of alpha.

    The looks before can only add power, so the cap is on the safe side. The mean use is simulated,
    for one-sided claims about wins and losses.

    Raises:
        ValueError: See ``prompts_needed``.
    """
    cap = prompts_needed(design.at(design.alpha * (1 - HYBRID_SHARE)), difference, wanted)
    if design.discordance is None or design.two_sided or cap > MOST_SIMULATED:
        return HybridPlan(cap, None)
    return HybridPlan(cap, _mean_use(design, difference, cap, block, seed))


def _mean_use(design: Design, difference: float, cap: int, block: int, seed: int) -> float:
    """Mean number of prompts after which the e-process decides, the cap where it does not."""
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
    """Distance from the bar that is significant, times the root of the number of prompts."""
    bar = max(-design.largest, min(design.largest, design.bar))
    return design.quantile * design.spread(bar)
