"""``llmops.gate``: decide on a comparison or a version in Python, and write the evidence."""

from __future__ import annotations

from pathlib import Path

from llmops.compare import load_suite
from llmops.errors import UsageError
from llmops.gate import gate as decide
from llmops.gate import record
from llmops.judging.version import judge
from llmops.recipe import Gate, Policy, Recipe
from llmops.records import Comparison, Decision, Suite


def gate(
    candidate: str | Comparison,
    policy: Recipe | Policy | Gate,
    *,
    suite: str | Path | Suite | None = None,
    baseline: str | None = None,
    cache: bool = True,
) -> Decision:
    """Decide whether a version may be promoted, and write the evidence; no alias moves.

    Args:
        candidate: A finished comparison, or a registered version, which is then compared first.
        policy: What it must show: a policy, a recipe, or for a comparison also its ``gate`` section
            alone.
        suite: Held-out prompts for a version; see ``load_suite``. Default: the policy's.
        baseline: The side to compare a version with; default: the policy's ``compare.baseline``.
        cache: Whether cached answers are used and new ones are cached.

    Returns:
        The decision with its evidence, which ``promote`` reads.

    Raises:
        UsageError: The candidate is not a registered version, or an argument is of the wrong type.
        LlmopsError: See ``compare``.

    Example:
        import llmops
        from llmops.recipe import Gate, Requirement

        found = llmops.compare("smollm2-135m-instruct", "models:/bot/2", "held-out.jsonl")
        better = Requirement(metric="token_f1", must="improve")
        decision = llmops.gate(found, Gate(require=(better,)))
        if decision.passed:
            llmops.promote("models:/bot/2")
    """
    if isinstance(candidate, Comparison):
        decision = decide(candidate, policy if isinstance(policy, Gate) else policy.gate)
        record(candidate, decision)
        return decision
    whole = policy.policy() if isinstance(policy, Recipe) else policy
    suite = suite or getattr(whole, "suite", None)
    if isinstance(whole, Gate) or suite is None:
        raise UsageError(
            f"gate: {candidate} is not compared yet, which takes a suite and a whole policy or recipe",
            next_command=f'llmops.gate(llmops.compare("BASELINE", "{candidate}", SUITE), policy)',
        )
    held_out = suite if isinstance(suite, Suite) else load_suite(suite)
    return judge(whole, candidate, held_out, baseline, cache=cache)[1]
