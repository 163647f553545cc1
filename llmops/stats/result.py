"""What a sequential comparison says, and how it was decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from llmops.records import Verdict

Method = Literal["hybrid", "fixed", "obf", "anytime"]
Must = Literal["improve", "not_regress"]


@dataclass(frozen=True)
class SequentialResult:
    """Where a comparison stands, or how it ended.

    Attributes:
        verdict: What is shown. NOT_WORSE if the margin alone is.
        passed: Whether the demand is met; ``None`` if the prompts decided neither way.
        decided_by: ``e-process`` or ``test``; ``None`` if nothing is decided.
        method: See ``llmops.stats.sequential``.
        alpha: One-sided level of each claim.
        n: Prompts used.
        units: Independent clusters among them.
        looks: Blocks seen.
        wins: Prompts with a positive difference.
        ties: Prompts without a difference.
        losses: Prompts with a negative difference.
        difference: Mean of candidate minus baseline over prompts; NaN before the first.
        low: Lower bound, wrong with probability at most alpha under this method.
        high: Upper bound, likewise; together an interval of confidence 1 - 2 alpha.
        bar: The demand is met by a difference above this: the margin, or its negative.
        e_value: Largest evidence at a look against "at most ``bar``"; ``None`` without e-process.
        e_needed: Where it decides.
        p_value: Of the same hypothesis by the test at the last look; ``None`` if none was due.
        p_needed: Where it decides.
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

    @property
    def p_overall(self) -> float | None:
        """One p-value of "at most ``bar``" for corrections over metrics; ``None`` for ``obf``.

        What may use the share s of alpha counts p / s, an e-value 1 / (s e).
        """
        if self.method == "obf":
            return None
        parts = [1.0]
        if self.e_value is not None and self.e_needed is not None:
            parts.append(self.e_needed * self.alpha / self.e_value)
        if self.p_value is not None and self.p_needed:
            parts.append(self.p_value * self.alpha / self.p_needed)
        return min(parts)
