"""The policy: what must hold of the difference before a version may become champion.

Each requirement reads the two-sided confidence interval of the paired difference (candidate
minus baseline). All must hold; requiring all of several tests needs no correction of their
level (intersection-union test: Berger 1982, Technometrics 24(4)).
"""

from __future__ import annotations

from llmops.errors import UsageError
from llmops.files import digest
from llmops.gate.evidence import evidence_of
from llmops.recipe.schema import Gate, Requirement
from llmops.records import Check, Comparison, Decision, PairedTest, Verdict
from llmops.report import sentence


def gate(comparison: Comparison, policy: Gate) -> Decision:
    """Decide whether the candidate may be promoted.

    Args:
        comparison: A finished comparison.
        policy: The recipe's ``gate`` section.

    Returns:
        The decision with its evidence. Passed only if every requirement is shown to hold;
        rejected if one is shown not to hold; inconclusive otherwise, and always with fewer
        prompts than ``min_prompts``.

    Raises:
        UsageError: A requirement names a metric that was not computed.
    """
    checks = tuple(_check(comparison, requirement, policy) for requirement in policy.require)
    passed = all(check.passed for check in checks)
    verdict = _overall(checks, passed)
    line = sentence(comparison, _leading(checks).metric, verdict)
    evidence = evidence_of(comparison, policy, checks, verdict, passed)
    return Decision(
        verdict=verdict,
        passed=passed,
        checks=checks,
        sentence=line,
        evidence=evidence,
        evidence_digest=digest.of_record(evidence),
    )


def _check(comparison: Comparison, requirement: Requirement, policy: Gate) -> Check:
    try:
        test = comparison.metric(requirement.metric).test
    except KeyError:
        known = ", ".join(result.metric for result in comparison.metrics)
        raise UsageError(
            f"gate.require: metric {requirement.metric!r} was not computed; available: {known}"
        ) from None
    if comparison.baseline.digest == comparison.candidate.digest:
        # The same bytes are as good, and no better.
        verdict, passed = Verdict.NOT_WORSE, requirement.must != "improve"
    elif test.n < policy.min_prompts:
        verdict, passed = Verdict.INCONCLUSIVE, None
    else:
        verdict, passed = _judge(test, requirement)
    return Check(requirement.metric, requirement.must, requirement.margin, verdict, passed)


def _judge(test: PairedTest, requirement: Requirement) -> tuple[Verdict, bool | None]:
    """Read verdict and outcome of one requirement off its interval."""
    improved = test.low > 0
    if requirement.must == "improve":
        if test.low > requirement.margin:
            return Verdict.IMPROVED, True
        if 0 <= test.high <= requirement.margin:  # a gain that large is excluded
            return Verdict.IMPROVED if improved else Verdict.INCONCLUSIVE, False
    elif test.low > -requirement.margin:
        return Verdict.IMPROVED if improved else Verdict.NOT_WORSE, True
    if test.high < 0:
        return Verdict.REGRESSED, False
    return Verdict.INCONCLUSIVE, None


def _overall(checks: tuple[Check, ...], passed: bool) -> Verdict:
    """Return the first requirement's verdict if all passed, else that of the one that decided."""
    leading = _leading(checks)
    return leading.verdict if passed or leading.passed is False else Verdict.INCONCLUSIVE


def _leading(checks: tuple[Check, ...]) -> Check:
    """Return the requirement that decided: one that failed, else an open one, else the first."""
    failed = [check for check in checks if check.passed is False]
    undecided = [check for check in checks if check.passed is None]
    return [*failed, *undecided, *checks][0]
