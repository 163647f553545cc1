"""``llmops.compare`` and ``llmops.gate``: from a comparison to the evidence, in Python."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Unpack

from llmops.compare import load_suite
from llmops.compare.arguments import (
    ScorerLike,
    Settings,
    SuiteLike,
    require_side,
    with_settings,
)
from llmops.compare.harness import compare as measure
from llmops.compare.harness import comparison_run
from llmops.compare.scorers import load_scorers
from llmops.compare.scorers.scorer import Scorer
from llmops.compare.sides import resolve_side
from llmops.compare.tracking.runs import publish_reports
from llmops.errors import UsageError
from llmops.gate import gate as decide
from llmops.gate import record
from llmops.gate.evidence.freeze import Case, freeze
from llmops.gate.lines import line_name
from llmops.gate.planning.possible import refuse_too_few
from llmops.gate.requirements.slices import refuse_unknown
from llmops.judging.version import judge
from llmops.recipe import Compare, Gate, Policy, Recipe
from llmops.records import Comparison, Decision, Side, Suite
from llmops.store import registry


def compare(
    baseline: str | Side,
    candidate: str | Side,
    suite: SuiteLike,
    config: Compare | None = None,
    *,
    policy: Gate | Policy | Recipe | None = None,
    scorers: ScorerLike | Sequence[ScorerLike] | None = None,
    cache: bool = True,
    **settings: Unpack[Settings],
) -> Comparison:
    """Compare two sides on held-out prompts, and log the result to MLflow.

    With a policy, the comparison is one that a version can be promoted on: what is to be decided is
    recorded before the first answer, as the next push of the line.

    Args:
        baseline: See ``llmops.compare.compare``, as for all that is not said here.
        candidate: The side that should be better; with a policy, a registered version.
        suite: Held-out prompts.
        config: A ``compare`` section; default: the policy's.
        policy: What ``llmops.gate`` will decide by. Its alpha replaces the confidence.
        scorers: Scorers to use instead of those of ``config``.
        cache: Whether cached answers are used.
        **settings: Keys of ``config`` to set, such as ``max_tokens=8``.

    Returns:
        Every metric with its paired test, and every row.

    Raises:
        LlmopsError: See there; also for a suite that is too small for the policy, or lacks a slice.

    Example:
        import llmops

        policy = llmops.load_policy(Path("gate.yaml"))
        found = llmops.compare("models:/bot/1", "models:/bot/4", "test.jsonl", policy=policy)
    """
    if policy is None:
        return measure(baseline, candidate, suite, config, scorers=scorers, cache=cache, **settings)
    _require_policy(policy)
    chosen = with_settings(config or getattr(policy, "compare", None), settings)
    held_out = suite if isinstance(suite, Suite) else load_suite(suite)
    loaded = load_scorers(scorers or chosen.scorers, code=scorers is not None)
    case = _case(baseline, candidate, held_out, policy, chosen, loaded)
    asked = (case.baseline, case.candidate, case.suite, case.config, case.policy)
    given: Any = {"scorers": scorers, "cache": cache, "freeze": partial(freeze, case)}
    with comparison_run(*asked, **given) as comparison:
        publish_reports((comparison,))
    return comparison


def _require_policy(given: object) -> None:
    """Refuse anything but a policy, a recipe or a ``gate`` section, such as the path of one.

    Raises:
        UsageError: It is of another type.
    """
    if not isinstance(given, (Gate, Policy, Recipe)):
        raise UsageError(
            f"policy: expected a Policy, a Recipe or a Gate, received {str(given)[:60]!r}",
            next_command='policy = llmops.load_policy(Path("gate.yaml"))',
        )


def _case(
    baseline: str | Side,
    candidate: str | Side,
    suite: Suite,
    given: Gate | Policy | Recipe,
    config: Compare,
    scorers: Sequence[Scorer],
) -> Case:
    """Return what a policy is to decide, and refuse what no version could pass."""
    against, judged = resolve_side(require_side(baseline)), resolve_side(require_side(candidate))
    model, _ = registry.parse(judged.uri)  # only a registered version can have a verdict
    gate = given if isinstance(given, Gate) else given.gate
    policy = Policy.model_construct(
        schema_version=1, model=model, suite=None, compare=config, gate=gate
    )
    refuse_too_few(policy, suite)
    refuse_unknown(gate, suite.examples)
    line, records = line_name(os.environ, Path.cwd()), tuple(scorer.record for scorer in scorers)
    return Case(model, line, against, judged, suite, gate, policy.settings(), records)


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
        candidate: A finished comparison, or a registered version, which is then compared first. After a
            comparison that was made without the policy, a promotion needs ``why``.
        policy: What it must show; of a comparison, a ``gate`` section alone will do.
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

        policy = Gate(require=(Requirement(metric="token_f1", must="improve"),))
        found = llmops.compare("models:/bot/1", "models:/bot/2", "held-out.jsonl", policy=policy)
        decision = llmops.gate(found, policy)
        if decision.passed:
            llmops.promote("models:/bot/2")
    """
    _require_policy(policy)
    if isinstance(candidate, Comparison):
        decision = decide(candidate, policy if isinstance(policy, Gate) else policy.gate)
        record(candidate, decision)
        return decision
    whole = policy.policy() if isinstance(policy, Recipe) else policy
    suite = suite or getattr(whole, "suite", None)
    if isinstance(whole, Gate) or suite is None:
        raise UsageError(
            f"gate: {candidate} is not compared yet, which takes a suite and a whole policy or recipe",
            next_command=f'llmops.compare("BASELINE", "{candidate}", SUITE, policy=policy), then llmops.gate(…)',
        )
    held_out = suite if isinstance(suite, Suite) else load_suite(suite)
    refuse_too_few(whole, held_out)
    return judge(whole, candidate, held_out, baseline, cache=cache)[1]
