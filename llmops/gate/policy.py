"""The policy: everything that must hold before a version may be promoted.

Requirements on the difference, floors, budgets and judge controls are checked one by one. All must
hold; a decision that requires all of several tests needs no correction of their level
(intersection-union test: Berger 1982, Technometrics 24(4)).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from llmops.errors import UsageError
from llmops.gate.evidence.record import NONE, evidence_of, sealed
from llmops.gate.planning.outlook import outlook
from llmops.gate.requirements import costs, differences, floors, judges, slices
from llmops.gate.requirements.figures import figures_of
from llmops.recipe.policy import AT_LEAST
from llmops.recipe.schema import Gate, Requirement
from llmops.records import Check, Comparison, Decision, Figures, MetricResult, Verdict
from llmops.report import sentence, wording

OF_DIFFERENCES = ("improve", "not_regress")
"""Requirements that say whether the candidate is better or worse than the baseline."""
ROUNDING = 1e-9
"""How far a confidence may be below 1 - alpha."""


def gate(comparison: Comparison, policy: Gate, *, first: bool = False) -> Decision:
    """Decide whether the candidate may be promoted.

    Args:
        comparison: A finished comparison, with intervals of confidence 1 - ``policy.alpha``.
        policy: The ``gate`` section of a policy or recipe.
        first: Whether there is no champion yet, so that the baseline is the bare base; see
            ``Gate.first_version``.

    Returns:
        The decision with its evidence: passed if the data show that every requirement holds,
        rejected if they show that one does not, inconclusive otherwise. With fewer prompts than
        ``min_prompts`` it is always inconclusive.

    Raises:
        UsageError: A requirement names a metric that was not computed, or the intervals have less
            confidence than the policy demands.
        IntegrityError: The policy is not the one that was frozen before the comparison.

    Example:
        from llmops.compare import compare
        from llmops.gate import gate
        from llmops.recipe import Gate, Requirement

        policy = Gate(require=(Requirement(metric="token_f1", must="improve"),))
        decision = gate(compare("models:/bot@champion", "models:/bot/4", "test.jsonl"), policy)
        print(decision.verdict, decision.sentence)
    """
    _require_computed(comparison.metrics, policy)
    _require_confidence(comparison, policy)
    same = comparison.baseline.digest == comparison.candidate.digest
    figures = figures_of(comparison, policy, first=first)
    found = decide(comparison.metrics, policy, same_bytes=same, figures=figures)
    made = evidence_of(
        comparison, policy, found.checks, found.verdict, found.passed, figures=figures
    )
    note = _why_passed(found, policy, figures)
    line = ": ".join(part for part in (note, _sentence(comparison, found)) if part)
    evidence = sealed({**made, "sentence": line})
    return Decision(
        verdict=found.verdict,
        passed=found.passed,
        checks=found.checks,
        sentence=line,
        evidence=evidence,
        evidence_digest=evidence["sha256"],
        budget=comparison.frozen.budget if comparison.frozen else None,
        note=note,
        outlook=outlook(comparison, found.checks),
    )


class Outcome(NamedTuple):
    """What figures and policy say: each check, the verdict, and whether the candidate passes."""

    checks: tuple[Check, ...]
    verdict: Verdict
    passed: bool


def decide(
    metrics: Sequence[MetricResult],
    policy: Gate,
    *,
    same_bytes: bool,
    figures: Figures = NONE,
) -> Outcome:
    """Decide by a policy, on nothing but the figures; ``promote`` decides again on recorded ones.

    Args:
        metrics: Results of the comparison.
        policy: Requirements and the minimum number of prompts.
        same_bytes: Whether the candidate is the baseline.
        figures: What floors, protected slices, budgets and controls are decided on.

    Raises:
        UsageError: A requirement names a metric that was not computed.
    """
    _require_computed(metrics, policy)
    results = {result.metric: result for result in metrics}
    checks = (
        *(
            _check(results, requirement, policy, figures, same_bytes=same_bytes)
            for requirement in policy.require
            if requirement.must == AT_LEAST or not policy.floors_alone(first=figures.first)
        ),
        *costs.checks(policy.budgets, figures.spent),
        *judges.checks(policy, figures.judges),
    )
    verdict = _overall(checks, metrics)
    enough = all(results[r.metric].test.n >= policy.min_prompts for r in policy.require)
    return Outcome(checks, verdict, _passes(checks, policy, figures, enough=enough))


def _require_computed(metrics: Sequence[MetricResult], policy: Gate) -> None:
    computed = [result.metric for result in metrics]
    for requirement in policy.require:
        if requirement.metric not in computed:
            raise UsageError(
                f"gate.require: metric {requirement.metric!r} was not computed; available:"
                f" {', '.join(computed)}"
            )


def _require_confidence(comparison: Comparison, policy: Gate) -> None:
    """Refuse intervals that are narrower than the policy allows."""
    confidence, needed = comparison.metrics[0].test.confidence, 1 - policy.alpha
    if confidence < needed - ROUNDING:
        raise UsageError(
            f"the comparison has {wording.percent(confidence)} intervals; gate.alpha"
            f" {policy.alpha:g} needs {wording.percent(needed)}",
            next_command=f"compare(…, config=Compare(confidence={needed:.4g}))",
        )


def _check(
    results: Mapping[str, MetricResult],
    requirement: Requirement,
    policy: Gate,
    figures: Figures,
    *,
    same_bytes: bool,
) -> Check:
    if requirement.must == AT_LEAST:
        return floors.check(requirement, figures, fewest=policy.min_prompts)
    if requirement.slice:
        return slices.check(requirement, figures, same_bytes=same_bytes)
    result = results[requirement.metric]
    return differences.check(result, requirement, fewest=policy.min_prompts, same_bytes=same_bytes)


def _passes(checks: Sequence[Check], policy: Gate, figures: Figures, *, enough: bool) -> bool:
    """Return whether the candidate passes; what is undecided may pass if the policy says so."""
    if figures.first and policy.first_version == "allow":
        return True
    if all(check.passed for check in checks):
        return True
    lenient = policy.on_inconclusive == "pass" and enough
    return lenient and all(check.passed or _may_pass(check) for check in checks)


def _may_pass(check: Check) -> bool:
    """Return whether an undecided check can be waived: neither a shown loss nor a missing basis."""
    demanded = check.must in (*OF_DIFFERENCES, AT_LEAST)
    return check.passed is None and check.verdict is not Verdict.REGRESSED and demanded


def _why_passed(found: Outcome, policy: Gate, figures: Figures) -> str:
    """Return why a candidate passes that does not show what it must; empty if it does."""
    open_ones = sum(not check.passed for check in found.checks)
    if not found.passed or not open_ones:
        return ""
    allowed = figures.first and policy.first_version == "allow"
    key = "first_version is allow" if allowed else "on_inconclusive is pass"
    return f"PASSED WITHOUT PROOF (gate.{key}; {open_ones} of {len(found.checks)} requirements not shown)"


def _overall(checks: Sequence[Check], metrics: Sequence[MetricResult]) -> Verdict:
    """Return what is shown about candidate and baseline, by the requirement that decided.

    A requirement that is undecided is a shown loss, or inconclusive. A floor or a budget says nothing
    about the baseline; where one decided, the first difference is reported.
    """
    leading = _leading(checks)
    if leading.must not in OF_DIFFERENCES:
        compared = [check for check in checks if check.must in OF_DIFFERENCES]
        return compared[0].verdict if compared else _by_interval(metrics[0])
    if leading.passed is not None or leading.verdict is Verdict.REGRESSED:
        return leading.verdict
    return Verdict.INCONCLUSIVE


def _leading(checks: Sequence[Check]) -> Check:
    """Return the requirement that decided: a failed one, else an undecided one, else the first."""
    failed = [check for check in checks if check.passed is False]
    undecided = [check for check in checks if check.passed is None]
    return [*failed, *undecided, *checks][0]


def _sentence(comparison: Comparison, found: Outcome) -> str:
    """Return the requirement that decided in one line."""
    leading = _leading(found.checks)
    if leading.must in OF_DIFFERENCES and leading.slice is None:
        return sentence(comparison, leading.metric, found.verdict)
    words = {True: "PASSED", False: "REJECTED", None: "INCONCLUSIVE"}
    return f"{words[leading.passed]}: {wording.demand(leading)}: {wording.outcome(leading)}"


def _by_interval(result: MetricResult) -> Verdict:
    if result.test.low > 0:
        return Verdict.IMPROVED
    return Verdict.REGRESSED if result.test.high < 0 else Verdict.INCONCLUSIVE
