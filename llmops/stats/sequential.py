"""A comparison that stops as soon as it is decided, and keeps its level at any number of looks.

Every claim follows from two bounds, each wrong with probability at most alpha: *better* if the lower
bound is above 0, *not worse* if it is above -margin, *worse* if the upper bound is below 0. A result
that supports no claim is INCONCLUSIVE, which never means "no change". The methods are listed in ``result.py``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from numpy.typing import ArrayLike

from llmops.records import Verdict
from llmops.stats.eprocess import EProcess, confidence_sequence
from llmops.stats.futility import is_futile
from llmops.stats.result import E_SHARES, SPENDINGS, Method, Must, SequentialResult, check
from llmops.stats.seen import Claim, Look, Seen
from llmops.stats.spending import Boundary, p_over_looks
from llmops.stats.terminal import interval, p_above
from llmops.stats.units import Units


class SequentialTest:
    """Compare two sides block by block, and stop when the question is decided.

    Args:
        must: ``improve`` requires a difference above ``margin``, ``not_regress`` one above -margin.
        margin: Margin, in [0, 1); above 0 for ``not_regress``.
        cap: Largest number of prompts; the final test takes place there.
        method: ``spend``, ``hybrid``, ``fixed``, ``obf`` or ``anytime``; see the module.
        alpha: One-sided level of each claim, in (0, 0.5): (1 - confidence) / 2 of an interval.
        largest_cluster: Prompts of the largest cluster of the suite; 1 without clusters. Used by the
            e-process only.
        seed: Seed of the sign-flip test.
        decides: Whether it may end the comparison. A test that may not is computed only when its
            result is read, at the level that is due then.

    Attributes:
        n: Number of prompts so far.
        done: Whether the question is decided or the prompts are used up.

    Raises:
        ValueError: An argument is outside its range.

    Example:
        from llmops.stats import SequentialTest

        test = SequentialTest("improve", 0.0, cap=1_000)
        while not test.update([0.3, 0.1, 0.0, 0.2] * 8):
            pass
        result = test.finish()
        assert result.verdict == "IMPROVED" and result.n < 1_000
    """

    def __init__(
        self,
        must: Must,
        margin: float,
        *,
        cap: int,
        method: Method = "spend",
        alpha: float = 0.05,
        largest_cluster: int = 1,
        seed: int = 0,
        decides: bool = True,
    ) -> None:
        check(must, margin, cap, method, alpha, largest_cluster)
        self.method, self.alpha, self.cap = method, alpha, cap
        self.bar = margin if must == "improve" else -margin
        self.n, self.done, self._over, self._decides = 0, False, False, decides
        self._seed = seed
        self._failing = max(self.bar, 0.0) if must == "improve" else self.bar
        self._e_alpha = alpha * E_SHARES.get(method, 0.0)
        self._above = {bound: EProcess(bound) for bound in {self.bar, 0.0}}
        self._below = {bound: EProcess(bound, mirrored=True) for bound in {self._failing, 0.0}}
        self._seen = Seen(largest_cluster, whole=self._e_alpha > 0)
        spending = SPENDINGS.get(method)
        self._boundary = Boundary(alpha, spending) if spending else None
        self._times: list[float] = []
        self._level = 0.0
        self._tested: Look | None = None
        self._shown: dict[Claim, Look] = {}
        self._low, self._high, self._futile = -1.0, 1.0, False

    def update(
        self,
        differences: ArrayLike,
        clusters: Sequence[str] | None = None,
        candidate: ArrayLike | None = None,
    ) -> bool:
        """Add a block of prompts, then take a look.

        Args:
            differences: Candidate minus baseline, in [-1, 1], shape (n,).
            clusters: Cluster name of each prompt, shape (n,); with ``hybrid`` and ``anytime`` a
                cluster must not span two blocks.
            candidate: Scores of the candidate, in [0, 1], shape (n,); they limit how much failures
                could cost either side. Without them, every difference from -1 to 1 is possible.

        Returns:
            Whether the question is decided. Prompts may be added after that; the bounds hold.

        Raises:
            ValueError: The last test has taken place, an array is invalid, or a cluster spans two
                blocks or exceeds ``largest_cluster``.
        """
        if self._over:
            raise ValueError("the comparison has ended: no prompt may be added")
        block = self._seen.add(differences, clusters, candidate)
        if block.sums.size == 0:
            return False
        self.n = self._seen.n
        if self._e_alpha:
            for process in (*self._above.values(), *self._below.values()):
                process.look(block.means, block.sizes / self._seen.largest)
        self._look(last=self.n >= self.cap)
        return self.done

    @property
    def passed(self) -> bool | None:
        """Whether the requirement is met; ``None`` while undecided.

        A loss within the margin is tolerated. So ``not_regress`` fails only if a loss beyond the
        margin is shown, or if some loss is shown, the estimate is beyond the margin, and no prompt
        is left or the margin is out of reach (``futility.py``).
        """
        if self._contradicts_itself:
            return None
        if self._holds(Claim(self.bar, below=False)):
            return True
        if self._holds(Claim(self._failing, below=True)) or self._futile:
            return False
        beyond = self._over and self._failing < 0 and self._seen.units().mean <= self.bar
        return False if beyond and self._holds(Claim(0.0, below=True)) else None

    @property
    def verdict(self) -> Verdict:
        """Strongest claim shown so far; none if two of them exclude each other."""
        if self._contradicts_itself:
            return Verdict.INCONCLUSIVE
        if self._holds(Claim(0.0, below=False)):
            return Verdict.IMPROVED
        if self._holds(Claim(self.bar, below=False)):
            return Verdict.NOT_WORSE
        lost = self._holds(Claim(0.0, below=True))
        return Verdict.REGRESSED if lost else Verdict.INCONCLUSIVE

    @property
    def _contradicts_itself(self) -> bool:
        """Whether a look has shown the opposite of another: one of them must be wrong."""
        above = [bound for bound in self._above if self._holds(Claim(bound, below=False))]
        below = [bound for bound in self._below if self._holds(Claim(bound, below=True))]
        return max(above, default=-2.0) >= min(below, default=2.0)

    def finish(self) -> SequentialResult:
        """End the comparison, with its last test if the suite had fewer prompts than ``cap``.

        The number of prompts must not depend on their results.
        """
        if not self._over and self.n and not (self._decides and self.done):
            self._look(last=True)
        self.done = self._over = True
        return self.result()

    def result(self) -> SequentialResult:
        """Return the current state of the comparison."""
        if not self._decides:
            self._test()
        units, tested = self._seen.units(), self._tested
        losses, ties, wins = self._seen.signs
        return SequentialResult(
            verdict=self.verdict,
            passed=self.passed,
            decided_by=self._decided_by(),
            method=self.method,
            alpha=self.alpha,
            n=self.n,
            units=int(units.sums.size),
            looks=len(self._times),
            wins=wins,
            ties=ties,
            losses=losses,
            difference=units.mean,
            **dict(zip(("low", "high"), self._bounds(units), strict=True)),
            bar=self.bar,
            e_value=math.exp(min(700.0, self._above[self.bar].largest)) if self._e_alpha else None,
            e_needed=1 / self._e_alpha if self._e_alpha else None,
            p_value=p_above(tested.units, self.bar, seed=self._seed) if tested else None,
            p_needed=tested.level if tested else None,
            p_overall=self.p_value(self.bar),
        )

    def p_value(self, bound: float = 0.0, *, below: bool = False) -> float:
        """Return the p-value of "the difference is at most ``bound``" by the whole method.

        A test that has the share s of alpha counts as p / s, an e-process that has the share s as
        1 / (s e); with looks at spent levels, the smallest alpha at which a test rejects. The result
        is at most ``alpha`` if and only if the claim is shown.

        Args:
            bound: 0 or ``bar``.
            below: Whether to test "the difference is at least ``bound``" instead.
        """
        claim = Claim(bound, below)
        parts = [1.0]
        process = (self._below if below else self._above).get(bound)
        if self._e_alpha and process is not None:
            parts.append(self.alpha / (self._e_alpha * math.exp(min(700.0, process.largest))))
        look = self._shown.get(claim) or self._tested
        if look is not None:
            parts.append(self._p_of_test(look, claim))
        p = min(parts)
        shown = self._holds(claim)
        return min(p, self.alpha) if shown else max(p, math.nextafter(self.alpha, 1.0))

    def _p_of_test(self, look: Look, claim: Claim) -> float:
        units, bound = (
            (look.units.mirrored, -claim.bound) if claim.below else (look.units, claim.bound)
        )
        p = p_above(units, bound, seed=self._seed)
        spending = SPENDINGS.get(self.method)
        return (
            p * self.alpha / look.level
            if spending is None
            else p_over_looks(p, look.times, spending)
        )

    def _look(self, *, last: bool) -> None:
        """Hold the test that is due, and note whether the comparison is over."""
        time = 1.0 if last else self.n / self.cap
        self._times.append(time)
        if self._boundary is not None:
            self._level = self._boundary.level(time)
        else:
            self._level = self.alpha - self._e_alpha if last else 0.0
        self._over = last
        if self._decides:
            self._test()
        self.done = last or (self._decides and self.passed is not None)

    def _test(self) -> None:
        if self._level <= 0 or (self._tested and len(self._tested.times) == len(self._times)):
            return
        units = self._seen.units()
        self._tested = look = Look(units, tuple(self._times), self._level)
        low, high = interval(units, self._level, seed=self._seed)
        self._low, self._high = max(self._low, low), min(self._high, high)
        excluded = [Claim(bound, False) for bound in (self.bar, 0.0) if low > bound]
        excluded += [Claim(bound, True) for bound in (self._failing, 0.0) if high < bound]
        for claim in excluded:
            self._shown.setdefault(claim, look)
        if self._failing < 0 and high < 0 and not self._over:
            self._futile = self._futile or is_futile(
                units, self.bar, self._times[-1], self.alpha - self._e_alpha
            )

    def _holds(self, claim: Claim) -> bool:
        processes = self._below if claim.below else self._above
        process = processes.get(claim.bound)
        won = (
            self._e_alpha > 0
            and process is not None
            and process.largest >= -math.log(self._e_alpha)
        )
        return claim in self._shown or won

    def _decided_by(self) -> str | None:
        if self.passed is None:
            return None
        claims = [Claim(self.bar, False)]
        if not self.passed:
            claims = [Claim(self._failing, True), Claim(0.0, True)]
        if not any(claim in self._shown for claim in claims):
            return "e-process"
        return "futility" if self._futile and claims[0] not in self._shown else "test"

    def _bounds(self, units: Units) -> tuple[float, float]:
        """Return the common bounds of looks and test; they are disjoint only if one is wrong."""
        low, high = self._low, self._high
        if self._e_alpha and units.sums.size:
            weights = units.sizes / self._seen.largest
            looks = self._seen.block_ends()
            bet = confidence_sequence(units.means, self._e_alpha, weights, looks)
            low, high = max(low, bet[0]), min(high, bet[1])
        # A bound that a bet has rejected stays rejected, whatever the rounding of the ends.
        for bound in self._above:
            if self._holds(Claim(bound, below=False)):
                low = max(low, math.nextafter(bound, 2))
        for bound in self._below:
            if self._holds(Claim(bound, below=True)):
                high = min(high, math.nextafter(bound, -2))
        return (low, high) if low <= high else (high, low)
