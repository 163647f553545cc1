"""The policy: requirements on the difference that a version must meet before promotion.

Each requirement is checked on the two-sided confidence interval of the paired difference (candidate
minus baseline). All must hold; a decision that requires all of several tests needs no correction of
their level (intersection-union test: Berger 1982, Technometrics 24(4)).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from llmops.errors import UsageError
from llmops.files import digest
from llmops.gate.evidence import evidence_of
from llmops.recipe.schema import Gate, Requirement
from llmops.records import Check, Comparison, Decision, MetricResult, PairedTest, Verdict
from llmops.report import sentence


def gate(comparison: Comparison, policy: Gate) -> Decision:
    """Decide whether the candidate may be promoted.

    Args:
        comparison: A finished comparison.
        policy: The recipe's ``gate`` section.

    Returns:
        The decision with its evidence: passed if the data show that every requirement holds,
        rejected if they show that one does not, inconclusive otherwise. With fewer prompts than
        ``min_prompts`` it is always inconclusive.

    Raises:
        UsageError: A requirement names a metric that was not computed.

    Example:
        from llmops.compare import compare
        from llmops.gate import gate
        from llmops.recipe import Gate, Requirement

        policy = Gate(require=(Requirement(metric="token_f1", must="improve"),))
        decision = gate(compare("models:/bot@champion", "models:/bot/4", "test.jsonl"), policy)
        print(decision.verdict, decision.sentence)
    """
    same = comparison.baseline.digest == comparison.candidate.digest
    found = decide(comparison.metrics, policy, same_bytes=same)
    line = sentence(comparison, _leading(found.checks).metric, found.verdict)
    evidence = evidence_of(comparison, policy, found.checks, found.verdict, found.passed)
    return Decision(
        verdict=found.verdict,
        passed=found.passed,
        checks=found.checks,
        sentence=line,
        evidence=evidence,
        evidence_digest=digest.of_record(evidence),
    )


class Outcome(NamedTuple):
    """What metrics and policy say: each check, the verdict, and whether all requirements hold."""

    checks: tuple[Check, ...]
    verdict: Verdict
    passed: bool


def decide(metrics: Sequence[MetricResult], policy: Gate, *, same_bytes: bool) -> Outcome:
    """Decide by a policy, on nothing but the figures; ``promote`` decides again on recorded ones.

    Args:
        metrics: Results of the comparison.
        policy: Requirements and the minimum number of prompts.
        same_bytes: Whether the candidate is the baseline.

    Raises:
        UsageError: A requirement names a metric that was not computed.
    """
    results = {result.metric: result for result in metrics}
    checks = tuple(
        _check(results, requirement, policy, same_bytes=same_bytes)
        for requirement in policy.require
    )
    passed = all(check.passed for check in checks)
    return Outcome(checks, _overall(checks, passed), passed)


def _check(
    results: Mapping[str, MetricResult],
    requirement: Requirement,
    policy: Gate,
    *,
    same_bytes: bool,
) -> Check:
    if requirement.metric not in results:
        raise UsageError(
            f"gate.require: metric {requirement.metric!r} was not computed; available:"
            f" {', '.join(results)}"
        )
    test = results[requirement.metric].test
    if same_bytes:
        # The same bytes are exactly as good.
        verdict, passed = Verdict.NOT_WORSE, requirement.must != "improve"
    elif test.n < policy.min_prompts:
        verdict, passed = Verdict.INCONCLUSIVE, None
    else:
        verdict, passed = _judge(test, requirement)
    return Check(requirement.metric, requirement.must, requirement.margin, verdict, passed)


def _judge(test: PairedTest, requirement: Requirement) -> tuple[Verdict, bool | None]:
    """Return the verdict on a requirement, and whether it passed; ``None`` if undecided."""
    improved = test.low > 0
    if requirement.must == "improve":
        if test.low > requirement.margin:
            return Verdict.IMPROVED, True
        if 0 <= test.high <= requirement.margin:  # the required gain is ruled out
            return Verdict.IMPROVED if improved else Verdict.INCONCLUSIVE, False
    elif test.low > -requirement.margin:
        return Verdict.IMPROVED if improved else Verdict.NOT_WORSE, True
    if test.high < 0:
        return Verdict.REGRESSED, False
    return Verdict.INCONCLUSIVE, None


def _overall(checks: tuple[Check, ...], passed: bool) -> Verdict:
    """Return the verdict of the leading requirement; inconclusive if that is undecided."""
    leading = _leading(checks)
    return leading.verdict if passed or leading.passed is False else Verdict.INCONCLUSIVE


def _leading(checks: tuple[Check, ...]) -> Check:
    """Return the requirement that decided: a failed one, else an undecided one, else the first."""
    failed = [check for check in checks if check.passed is False]
    undecided = [check for check in checks if check.passed is None]
    return [*failed, *undecided, *checks][0]
