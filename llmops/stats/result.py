"""The result of a sequential comparison, and how it was decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from llmops.records import Verdict

Method = Literal["spend", "hybrid", "fixed", "obf", "anytime"]
Must = Literal["improve", "not_regress"]


@dataclass(frozen=True)
class SequentialResult:
    """The state of a sequential comparison, during it or at its end.

    Attributes:
        verdict: The strongest claim shown so far; ``NOT_WORSE`` if only the margin is kept.
        passed: Whether the requirement is met; ``None`` if the prompts did not decide it.
        decided_by: ``e-process``, ``test`` or ``futility``; ``None`` if nothing is decided.
        method: Stopping method, see ``SequentialTest``.
        alpha: One-sided level of each claim, in (0, 0.5).
        n: Number of prompts used.
        units: Number of independent clusters among them; ``n`` without clusters.
        looks: Number of blocks seen.
        wins: Number of prompts with a positive difference.
        ties: Number of prompts with a difference of 0.
        losses: Number of prompts with a negative difference.
        difference: Mean of candidate minus baseline over prompts; NaN before the first prompt.
        low: Lower bound of the difference, wrong with probability at most alpha.
        high: Upper bound, likewise; both form an interval of confidence 1 - 2 alpha.
        bar: Difference that must be exceeded: the margin, or minus the margin.
        e_value: Largest e-value at a look against "the difference is at most ``bar``"; ``None``
            for methods without an e-process.
        e_needed: E-value at which the e-process decides; ``None`` like ``e_value``.
        p_value: P-value of the same hypothesis by the latest test alone; ``None`` if no test was due.
        p_needed: P-value at which that test decides; ``None`` like ``p_value``.
        p_overall: P-value of the same hypothesis by the whole method, looks included.

    Example:
        from llmops.stats import SequentialTest

        test = SequentialTest("improve", 0.0, cap=40)
        test.update([1.0] * 40)
        result = test.finish()
        assert result.verdict == "IMPROVED"
        assert result.low > 0 and result.wins == 40
    """

    verdict: Verdict
    passed: bool | None
    decided_by: str | None
    method: Method
    alpha: float
    n: int
    units: int
    looks: int
    wins: int
    ties: int
    losses: int
    difference: float
    low: float
    high: float
    bar: float
    e_value: float | None
    e_needed: float | None
    p_value: float | None
    p_needed: float | None
    p_overall: float
