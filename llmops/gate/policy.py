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
from llmops.gate.outlook import outlook
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
        outlook=outlook(comparison, found.checks),
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
    result, reason = results[requirement.metric], ""
    test = result.test
    if same_bytes:
        # The same bytes are exactly as good.
        verdict, passed = Verdict.NOT_WORSE, requirement.must != "improve"
    elif reason := _no_basis(result, policy):
        verdict, passed = Verdict.INCONCLUSIVE, None
    else:
        verdict, passed = _judge(test, requirement)
        reason = _why_undecided(test, requirement) if passed is None else ""
    return Check(requirement.metric, requirement.must, requirement.margin, verdict, passed, reason)


def _no_basis(result: MetricResult, policy: Gate) -> str:
    """Return why no requirement on a metric can be decided; empty if one can."""
    if result.test.n < policy.min_prompts:
        return f"{result.test.n} prompts count, gate.min_prompts is {policy.min_prompts}"
    if result.baseline == result.candidate and result.candidate in (0.0, 1.0):
        return f"every answer of both sides scores {result.candidate:g}, which tells nothing"
    return ""


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


def _overall(checks: tuple[Check, ...], passed: bool) -> Verdict:
    """Return the verdict of the leading requirement; undecided, it is a shown loss or inconclusive."""
    leading = _leading(checks)
    if passed or leading.passed is False or leading.verdict is Verdict.REGRESSED:
        return leading.verdict
    return Verdict.INCONCLUSIVE


def _leading(checks: tuple[Check, ...]) -> Check:
    """Return the requirement that decided: a failed one, else an undecided one, else the first."""
    failed = [check for check in checks if check.passed is False]
    undecided = [check for check in checks if check.passed is None]
    return [*failed, *undecided, *checks][0]
