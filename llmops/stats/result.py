"""The methods of a sequential comparison, its arguments, and its result.

Methods, each with one-sided level ``alpha`` for every claim (see ``sequential.py``):

- ``spend``: a test after every block, at levels that together spend alpha (``spending.py``, alpha t^2.5);
- ``obf``: the same with O'Brien-Fleming's levels, which are tiny early;
- ``fixed``: all of alpha for one test when all prompts are used;
- ``hybrid``: a fifth of alpha for an e-process after every block, the rest for that one test. By the
  union bound both together keep alpha;
- ``anytime``: all of alpha for the e-process; assumes bounded scores only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from llmops.records import Verdict
from llmops.stats.spending import Spending

Method = Literal["spend", "hybrid", "fixed", "obf", "anytime"]
Must = Literal["improve", "not_regress"]
HYBRID_SHARE = 0.2
"""Share of alpha for the looks: large effects stop early, small ones lose about 2% of the power."""
E_SHARES: dict[Method, float] = {"hybrid": HYBRID_SHARE, "anytime": 1.0}
"""Shares of alpha for the e-process."""
SPENDINGS: dict[Method, Spending] = {"spend": "power", "obf": "obf"}
"""Spending functions of the methods that test at looks."""


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


def check(
    must: str, margin: float, cap: int, method: str, alpha: float, largest_cluster: int
) -> None:
    """Refuse arguments of ``SequentialTest`` that are outside their range.

    Raises:
        ValueError: See ``SequentialTest``.
    """
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
