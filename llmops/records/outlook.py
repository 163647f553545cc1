"""What a suite can decide: how often equal versions fail on it, and how many prompts would decide."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Outlook:
    """What the suite of a decision can show; simulated, and not part of the evidence.

    Attributes:
        equal_fail: A/A flip rate: probability that two equally good versions, whose answers differ as
            much as these, do not pass; for several requirements their sum, so an upper bound.
        demands_gain: Whether a requirement demands an improvement, so that equal versions must fail.
        prompts: Prompts that would decide with 80% power if the differences are as large as they were
            seen; ``None`` if nothing is undecided, or if no number would do.
        asked: Prompts that counted.
    """

    equal_fail: float
    demands_gain: bool
    prompts: int | None
    asked: int
