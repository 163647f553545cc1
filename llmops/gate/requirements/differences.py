"""Requirements on the difference: each is checked on the interval of candidate minus baseline."""

from __future__ import annotations

from llmops.recipe.schema import Requirement
from llmops.records import Check, MetricResult, PairedTest, Verdict


def check(
    result: MetricResult, requirement: Requirement, *, fewest: int, same_bytes: bool
) -> Check:
    """Check a requirement on the whole suite.

    Args:
        result: The metric's result.
        requirement: ``improve`` or ``not_regress``.
        fewest: Number of prompts below which nothing is decided.
        same_bytes: Whether the candidate is the baseline, and so exactly as good.
    """
    if same_bytes:
        passed = requirement.must != "improve"
        return checked(requirement, Verdict.NOT_WORSE, passed=passed)
    if reason := no_basis(result, fewest):
        return checked(requirement, Verdict.INCONCLUSIVE, passed=None, reason=reason)
    return by_interval(result.test, requirement)


def by_interval(test: PairedTest, requirement: Requirement) -> Check:
    """Check a requirement on an interval, whatever its rows are."""
    verdict, passed = _judge(test, requirement)
    reason = _why_undecided(test, requirement) if passed is None else ""
    return checked(requirement, verdict, passed=passed, reason=reason)


def checked(
    requirement: Requirement, verdict: Verdict, *, passed: bool | None, reason: str = ""
) -> Check:
    """Return the check of a requirement on the difference."""
    return Check(
        metric=requirement.metric,
        must=requirement.must,
        margin=requirement.margin,
        verdict=verdict,
        passed=passed,
        reason=reason,
        slice=requirement.tag,
    )


def no_basis(result: MetricResult, fewest: int) -> str:
    """Return why no requirement on a metric can be decided; empty if one can."""
    if result.test.n < fewest:
        return too_few(result.test.n, fewest)
    if result.baseline == result.candidate and result.candidate in (0.0, 1.0):
        return f"every answer of both sides scores {result.candidate:g}, which tells nothing"
    return ""


def too_few(n: int, fewest: int) -> str:
    """Return the reason that fewer prompts count than the policy demands."""
    return f"{n} prompts count, gate.min_prompts is {fewest}"


def _why_undecided(test: PairedTest, requirement: Requirement) -> str:
    if requirement.must == "not_regress" and test.high < 0:
        return f"a loss is shown, but not whether it is more than {requirement.margin:g}"
    return f"{test.n} prompts show differences from ±{test.detectable:.2g} on (80% power)"


def _judge(test: PairedTest, requirement: Requirement) -> tuple[Verdict, bool | None]:
    """Return the verdict on a requirement, and whether it passed; ``None`` if undecided.

    The same rules as ``SequentialTest.passed``: a loss is tolerated up to the margin, so a shown loss
    fails ``not_regress`` only if the estimate is beyond the margin.
    """
    improved = test.low > 0
    if requirement.must == "improve":
        if test.low > requirement.margin:
            return Verdict.IMPROVED, True
        if 0 <= test.high < requirement.margin:  # the required gain is ruled out
            return Verdict.IMPROVED if improved else Verdict.INCONCLUSIVE, False
    elif test.low > -requirement.margin:
        return Verdict.IMPROVED if improved else Verdict.NOT_WORSE, True
    if test.high >= 0:
        return Verdict.INCONCLUSIVE, None
    tolerated = requirement.must == "not_regress" and test.difference > -requirement.margin
    return Verdict.REGRESSED, None if tolerated else False
