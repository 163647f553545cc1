"""What a plan assumes: the claim, how the scores vary, and how prompts depend on each other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Design:
    """A claim to be shown, and the assumptions of its sample size.

    Attributes:
        bar: Difference that must be exceeded, in (-1, 1): 0, a margin, or minus a margin.
        discordance: Share of prompts with a win or a loss, in (0, 1]; ``None`` if ``sd`` is given.
        sd: Standard deviation of the differences, in (0, 1); ``None`` if ``discordance`` is given.
        alpha: One-sided level of the claim, in (0, 0.5).
        level: Mean score of the better side, in (0, 1], as far as the discordance allows. A failure
            that the sample is too small to contain costs the score of the side that fails.
        clusters: Number of clusters, however many prompts there are; ``None`` if unknown.
        sizes: Prompts of a cluster; several sizes take turns. 1 means independent prompts.
        icc: Intraclass correlation of the differences, in [0, 1]; how alike the prompts of a cluster
            are.

    Raises:
        ValueError: A number is outside its range, or two contradict each other.

    Example:
        from llmops.stats import Design

        # Not worse by more than 5 points, in documents with 4 questions each.
        design = Design(bar=-0.05, discordance=0.2, sizes=(4,), icc=0.3)
        assert design.must == "not_regress" and not design.independent
    """

    bar: float = 0.0
    discordance: float | None = None
    sd: float | None = None
    alpha: float = 0.025
    level: float = 0.5
    clusters: int | None = None
    sizes: tuple[int, ...] = (1,)
    icc: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: See the class.
        """
        if (self.discordance is None) == (self.sd is None):
            received = "neither" if self.sd is None else "both"
            raise ValueError(f"give either the discordance or the sd, received {received}")
        if self.discordance is not None and not 0 < self.discordance <= 1:
            raise ValueError(
                f"discordance: expected a number above 0, at most 1: {self.discordance}"
            )
        if self.sd is not None and not 0 < self.sd < 1:
            raise ValueError(f"sd: expected a number between 0 and 1, received {self.sd}")
        if not -1 < self.bar < 1:
            raise ValueError(f"bar: expected a number between -1 and 1, received {self.bar}")
        if not 0 < self.alpha < 0.5:
            raise ValueError(f"alpha: expected a number between 0 and 0.5, received {self.alpha}")
        if not 0 < self.level <= 1:
            raise ValueError(f"level: expected a number above 0, at most 1: {self.level}")
        self._check_clusters()

    def _check_clusters(self) -> None:
        if not 0 <= self.icc <= 1:
            raise ValueError(f"icc: expected a number from 0 to 1, received {self.icc}")
        if not self.sizes or min(self.sizes) < 1:
            raise ValueError(f"cluster size: expected at least 1, received {self.sizes}")
        if self.clusters is not None and self.clusters < 2:
            raise ValueError(f"clusters: expected at least 2, received {self.clusters}")
        if self.clusters is not None and self.sizes != (1,):
            raise ValueError("give either the number of clusters or their size")

    @property
    def must(self) -> Literal["improve", "not_regress"]:
        """The requirement of ``SequentialTest`` that makes this claim."""
        return "not_regress" if self.bar < 0 else "improve"

    @property
    def independent(self) -> bool:
        """Whether every prompt is a unit of its own."""
        return self.clusters is None and max(self.sizes) == 1

    @property
    def ternary(self) -> bool:
        """Whether the data are wins, ties and losses of independent prompts."""
        return self.discordance is not None and self.independent

    @property
    def largest(self) -> float:
        """Largest true difference that the other assumptions allow."""
        if self.discordance is not None:
            return self.discordance
        return min(self.level, math.sqrt(1 - (self.sd or 0.0) ** 2) - 1e-9)

    def check(self, difference: float) -> None:
        """Check that a true difference is possible and beyond the bar.

        Raises:
            ValueError: It is not.
        """
        if not difference > self.bar:  # NaN neither
            raise ValueError(f"difference {difference:g}: not beyond the bar {self.bar:g}")
        if abs(difference) <= self.largest:
            return
        if self.discordance is not None:
            reason = f"more than the discordance {self.discordance:g}"
        elif abs(difference) > self.level:
            reason = f"more than the level {self.level:g}, the mean score of the better side"
        else:
            reason = f"an sd of {self.sd:g} allows {self.largest:.3f} at most"
        raise ValueError(f"difference {difference:g}: {reason}")

    def spread(self, difference: float) -> float:
        """Return the standard deviation of the differences if ``difference`` is their mean."""
        if self.discordance is None:
            return float(self.sd or 0.0)
        return math.sqrt(max(0.0, self.discordance - difference**2))

    def units(self, prompts: int) -> NDArray[np.intp]:
        """Return the cluster of each prompt, as numbers from 0, shape (n,)."""
        if self.clusters is not None:
            return np.arange(prompts) % self.clusters
        turns = prompts // sum(self.sizes) + 1
        return np.repeat(np.arange(turns * len(self.sizes)), self.sizes * turns)[:prompts]
