"""A comparison that stops as soon as it is decided, and keeps its level at any number of looks.

Methods, each with one-sided level ``alpha`` for every claim:

- ``hybrid``: a fifth of alpha for an e-process after every block, the rest for one test when all
  prompts are used. By the union bound both together keep alpha.
- ``fixed``: all of alpha for that one test.
- ``obf``: O'Brien-Fleming looks after every block (``spending.py``), with repeated confidence
  intervals (Jennison & Turnbull 1989, J. R. Stat. Soc. B 51(3), 305-361).
- ``anytime``: all of alpha for the e-process; assumes bounded scores only.

Every claim follows from two bounds, each wrong with probability at most alpha: *better* if the lower
bound is above 0, *not worse* if it is above -margin, *worse* if the upper bound is below 0. A result
that supports no claim is INCONCLUSIVE, which never means "no change".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike

from llmops.records import Verdict
from llmops.stats.eprocess import EProcess, confidence_sequence
from llmops.stats.result import Method, Must, SequentialResult
from llmops.stats.spending import OBrienFleming
from llmops.stats.terminal import interval, p_above
from llmops.stats.units import Units, joined, units_of

HYBRID_SHARE = 0.2
"""Share of alpha for the looks: large effects stop early, small ones lose about 2% of the power."""


class SequentialTest:
    """Compare two sides block by block, and stop when the question is decided.

    Args:
        must: ``improve`` requires a difference above ``margin``, ``not_regress`` one above -margin.
        margin: Margin, in [0, 1); above 0 for ``not_regress``.
        cap: Largest number of prompts; the final test takes place there.
        method: ``hybrid`` (e-process at every look, one test at the end), ``fixed`` (that test
            only), ``obf`` (O'Brien-Fleming looks) or ``anytime`` (e-process only).
        alpha: One-sided level of each claim, in (0, 0.5): (1 - confidence) / 2 of an interval.
        largest_cluster: Prompts of the largest cluster of the suite; 1 without clusters.
        seed: Seed of the sign-flip test.

    Attributes:
        n: Number of prompts so far.
        done: Whether the question is decided or the prompts are used up.

    Raises:
        ValueError: An argument is outside its range.

    Example:
        import numpy as np

        from llmops.stats import SequentialTest

        rng = np.random.default_rng(1)
        differences = rng.choice([1.0, 0.0, -1.0], 1_000, p=[0.30, 0.65, 0.05])
        test = SequentialTest("improve", 0.0, cap=1_000)
        for block in differences.reshape(-1, 25):
            if test.update(block):
                break
        result = test.finish()
        assert result.verdict == "IMPROVED" and result.n < 1_000
    """

    def __init__(
        self,
        must: Must,
        margin: float,
        *,
        cap: int,
        method: Method = "hybrid",
        alpha: float = 0.05,
        largest_cluster: int = 1,
        seed: int = 0,
    ) -> None:
        _check(must, margin, cap, method, alpha, largest_cluster)
        self.method, self.alpha, self.cap = method, alpha, cap
        self.bar = margin if must == "improve" else -margin
        self.n, self.done, self._over = 0, False, False
        self._largest, self._seed = largest_cluster, seed
        self._failing = max(self.bar, 0.0)  # a difference below this fails the demand
        self._e_alpha = {"hybrid": alpha * HYBRID_SHARE, "anytime": alpha}.get(method, 0.0)
        self._above = {bound: EProcess(bound) for bound in {self.bar, 0.0}}
        self._below = {bound: EProcess(bound, mirrored=True) for bound in {self._failing, 0.0}}
        self._boundary = OBrienFleming(alpha)
        self._level = 0.0
        self._test_low, self._test_high = -1.0, 1.0
        self._blocks: list[Units] = []
        self._ternary = np.zeros(3, dtype=int)
        self._names: set[str] = set()

    def update(
        self,
        differences: ArrayLike,
        clusters: Sequence[str] | None = None,
        candidate: ArrayLike | None = None,
    ) -> bool:
        """Add a block of prompts, then take a look.

        Args:
            differences: Candidate minus baseline, in [-1, 1], shape (n,).
            clusters: Cluster name of each prompt, shape (n,); a cluster must not span two blocks.
            candidate: Scores of the candidate, in [0, 1], shape (n,); they limit how much could
                still be lost. Without them, every loss up to -1 is assumed to be possible.

        Returns:
            Whether the question is decided. Prompts may be added after that; the bounds hold.

        Raises:
            ValueError: The last test has taken place, an array is invalid, or a cluster spans two
                blocks or exceeds ``largest_cluster``.
        """
        if self._over:
            raise ValueError("the comparison has ended: no prompt may be added")
        units = units_of(differences, clusters, candidate)
        if units.sums.size == 0:
            return False
        self._accept(units, clusters, np.sign(np.asarray(differences, dtype=np.float64)))
        if self._e_alpha:
            for process in (*self._above.values(), *self._below.values()):
                process.look(units.means, units.sizes / self._largest)
        self._test(last=self.n >= self.cap)
        return self.done

    @property
    def passed(self) -> bool | None:
        """Whether the requirement is met; ``None`` while undecided."""
        if self._exceeds(self.bar):
            return True
        return False if self._falls_below(self._failing) else None

    @property
    def verdict(self) -> Verdict:
        """Strongest claim shown so far."""
        if self._exceeds(0.0):
            return Verdict.IMPROVED
        if self._exceeds(self.bar):
            return Verdict.NOT_WORSE
        return Verdict.REGRESSED if self._falls_below(0.0) else Verdict.INCONCLUSIVE

    def finish(self) -> SequentialResult:
        """End the comparison, with its last test if the suite had fewer prompts than ``cap``.

        The number of prompts must not depend on their results.
        """
        if not self.done and self.n:
            self._test(last=True)
        self.done = self._over = True
        return self.result()

    def result(self) -> SequentialResult:
        """Return the current state of the comparison."""
        units = self._units()
        passed = self.passed
        low, high = self._bounds(units)
        tested = self._level > 0
        e_value = math.exp(min(700.0, self._above[self.bar].largest)) if self._e_alpha else None
        return SequentialResult(
            verdict=self.verdict,
            passed=passed,
            decided_by=self._decided_by(passed),
            method=self.method,
            alpha=self.alpha,
            n=self.n,
            units=int(units.sums.size),
            looks=len(self._blocks),
            wins=int(self._ternary[2]),
            ties=int(self._ternary[1]),
            losses=int(self._ternary[0]),
            difference=units.mean,
            low=low,
            high=high,
            bar=self.bar,
            e_value=e_value,
            e_needed=1 / self._e_alpha if self._e_alpha else None,
            p_value=p_above(units, self.bar, seed=self._seed) if tested else None,
            p_needed=self._level if tested else None,
        )

    def _accept(self, units: Units, clusters: Sequence[str] | None, signs: ArrayLike) -> None:
        names = set(map(str, clusters or ()))
        if again := names & self._names:
            raise ValueError(f"cluster {min(again)!r} is in two blocks: keep its prompts in one")
        if units.sizes.max() > self._largest:
            raise ValueError(
                f"a cluster has {int(units.sizes.max())} prompts, largest_cluster is {self._largest}"
            )
        self._names |= names
        self._blocks.append(units)
        self.n += int(units.sizes.sum())
        self._ternary += [int(np.sum(signs == sign)) for sign in (-1, 0, 1)]

    def _test(self, *, last: bool) -> None:
        """Hold the test that is due at this look, and note whether the comparison is over."""
        self._level = self._due(last)
        if self._level > 0:
            low, high = interval(self._units(), self._level, seed=self._seed)
            self._test_low = max(self._test_low, low)
            self._test_high = min(self._test_high, high)
        self._over = last
        self.done = last or self.passed is not None

    def _due(self, last: bool) -> float:
        """Return the level of the test at this look; 0 if no test is due."""
        if self.method == "obf":
            return self._boundary.level(1.0 if last else self.n / self.cap)
        return self.alpha - self._e_alpha if last else 0.0

    def _exceeds(self, bound: float) -> bool:
        return self._test_low > bound or self._bet_won(self._above[bound])

    def _falls_below(self, bound: float) -> bool:
        return self._test_high < bound or self._bet_won(self._below[bound])

    def _bet_won(self, process: EProcess) -> bool:
        return self._e_alpha > 0 and process.largest >= -math.log(self._e_alpha)

    def _decided_by(self, passed: bool | None) -> str | None:
        if passed is None:
            return None
        bet = self._above[self.bar] if passed else self._below[self._failing]
        return "e-process" if self._bet_won(bet) else "test"

    def _units(self) -> Units:
        return joined(self._blocks)

    def _bounds(self, units: Units) -> tuple[float, float]:
        """Return the common bounds of looks and test; they are disjoint only if one is wrong."""
        low, high = self._test_low, self._test_high
        if self._e_alpha and units.sums.size:
            looks = np.cumsum([block.sums.size for block in self._blocks])
            weights = units.sizes / self._largest
            bet = confidence_sequence(units.means, self._e_alpha, weights, looks)
            low, high = max(low, bet[0]), min(high, bet[1])
        # A bound that a bet has rejected stays rejected, whatever the rounding of the ends.
        for bound, process in self._above.items():
            low = max(low, math.nextafter(bound, 2)) if self._bet_won(process) else low
        for bound, process in self._below.items():
            high = min(high, math.nextafter(bound, -2)) if self._bet_won(process) else high
        return (low, high) if low <= high else (high, low)


def _check(
    must: str, margin: float, cap: int, method: str, alpha: float, largest_cluster: int
) -> None:
    if must not in get_args(Must):
        raise ValueError(f"must: expected one of {get_args(Must)}, received {must!r}")
    if method not in get_args(Method):
        raise ValueError(f"method: expected one of {get_args(Method)}, received {method!r}")
    if not 0 <= margin < 1 or (must == "not_regress" and margin == 0):
        raise ValueError(f"margin: expected a number in [0, 1), above 0 for not_regress: {margin}")
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha: expected a number between 0 and 0.5, received {alpha}")
    if cap < 1 or largest_cluster < 1:
        raise ValueError(f"cap {cap}, largest_cluster {largest_cluster}: expected at least 1")
