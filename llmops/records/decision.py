"""Records of a gate's decision: verdicts, checked requirements, evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from llmops import errors
from llmops.records.frozen import Budget
from llmops.records.outlook import Outlook


class Verdict(StrEnum):
    """What a comparison shows about the candidate."""

    IMPROVED = "IMPROVED"
    """It is better than the baseline."""
    NOT_WORSE = "NOT_WORSE"
    """It is not worse by more than the margin."""
    REGRESSED = "REGRESSED"
    """It is worse than the baseline."""
    INCONCLUSIVE = "INCONCLUSIVE"
    """The data do not decide."""


@dataclass(frozen=True)
class Check:
    """One requirement of the policy and whether the comparison meets it.

    Attributes:
        metric: Name of the metric.
        must: ``improve`` or ``not_regress`` (the difference), ``at_least`` (a floor under the
            candidate's own mean), ``at_most`` (a budget), or ``hold`` (the controls of a judge).
        margin: Gain that must be exceeded, or loss that is tolerated, in [0, 1]; else 0.
        verdict: What the comparison shows.
        passed: Whether the requirement holds; ``None`` if the data do not decide.
        reason: Why it is undecided; empty otherwise.
        slice: Key and value of the slice that it reads; ``None`` for the whole suite.
        value: Limit of a floor or budget; ``None`` for the others.
        observed: The candidate's own mean that is held against the limit; ``None`` without one.
    """

    metric: str
    must: str
    margin: float
    verdict: Verdict
    passed: bool | None
    reason: str = field(default="", compare=False)  # wording, which evidence must not depend on
    slice: tuple[str, str] | None = None
    value: float | None = None
    observed: float | None = None


@dataclass(frozen=True)
class Decision:
    """The gate's decision and its evidence.

    Attributes:
        verdict: Verdict of the requirement that decided.
        passed: Whether every requirement holds.
        checks: Each requirement of the policy with its result.
        sentence: The decision in one line: verdict, versions, metric, difference.
        evidence: The record that binds the verdict to exact bytes.
        evidence_digest: SHA-256 of the canonical JSON of all of ``evidence`` but its key ``sha256``.
        budget: Push and level of a gated comparison; ``None`` if nothing was frozen before it.
        reused: Whether it was decided earlier: the question is the same, so nothing was asked.
        note: Why a candidate passed that does not show what it must, as the policy allows; empty
            otherwise. The sentence begins with it.
        outlook: What this suite can decide; ``None`` if it was not computed.
    """

    verdict: Verdict
    passed: bool
    checks: tuple[Check, ...]
    sentence: str
    evidence: Mapping[str, object] = field(repr=False)
    evidence_digest: str = ""
    budget: Budget | None = None
    reused: bool = False
    note: str = ""
    outlook: Outlook | None = field(default=None, compare=False)

    @property
    def exit_code(self) -> int:
        """Exit code of the process: 0 passed, 3 rejected, 4 inconclusive."""
        if self.passed:
            return errors.EXIT_OK
        if any(check.passed is False for check in self.checks):
            return errors.EXIT_REJECTED
        return errors.EXIT_INCONCLUSIVE
