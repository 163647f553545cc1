"""Verdicts, and what a gate says of a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from llmops import errors


class Verdict(StrEnum):
    """What a comparison says about the candidate."""

    IMPROVED = "IMPROVED"
    NOT_WORSE = "NOT_WORSE"
    REGRESSED = "REGRESSED"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True)
class Check:
    """One requirement of the policy and what the comparison says of it."""

    metric: str
    must: str
    margin: float
    verdict: Verdict
    passed: bool | None
    """``None``: not decided by the data."""


@dataclass(frozen=True)
class Decision:
    """The gate's answer, with the evidence it rests on.

    Attributes:
        sentence: One line for people: verdict, versions, metric, difference.
        evidence: The record that binds the verdict to exact bytes.
        evidence_digest: SHA-256 of the canonical JSON of ``evidence``.
    """

    verdict: Verdict
    passed: bool
    checks: tuple[Check, ...]
    sentence: str
    evidence: Mapping[str, object] = field(repr=False)
    evidence_digest: str = ""

    @property
    def exit_code(self) -> int:
        """Return 0 if it passed, 3 if rejected, 4 if inconclusive."""
        if self.passed:
            return errors.EXIT_OK
        if any(check.passed is False for check in self.checks):
            return errors.EXIT_REJECTED
        return errors.EXIT_INCONCLUSIVE
