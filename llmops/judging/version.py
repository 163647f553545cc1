"""Compare a version with its baseline, decide by a policy, and record both."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

from llmops.compare import comparison_run
from llmops.compare.baseline import baseline, is_first
from llmops.compare.scorers import load_scorers
from llmops.gate import gate, record
from llmops.gate.evidence import reuse
from llmops.gate.evidence.freeze import Case, freeze
from llmops.gate.evidence.signature import SigningKey
from llmops.gate.lines import line_name
from llmops.gate.requirements.slices import refuse_unknown
from llmops.models.resolve import resolve
from llmops.progress import say
from llmops.recipe import Policy
from llmops.records import Comparison, Decision, ModelFiles, Suite
from llmops.store import registry


def judge(
    policy: Policy,
    candidate: str | ModelFiles,
    suite: Suite,
    against: str | ModelFiles | None = None,
    *,
    cache: bool = True,
    line: str | None = None,
    fresh: bool = False,
    key: SigningKey | None = None,
    code: bool = False,
) -> tuple[Comparison | None, Decision]:
    """Compare a version with its baseline, decide, and record both; no alias moves.

    Args:
        policy: The policy, from ``load_policy`` or ``recipe.policy()``.
        candidate: A registered version.
        suite: Held-out prompts.
        against: The baseline; default: the policy's ``compare.baseline``.
        cache: Whether cached answers are used and new ones are cached.
        line: Candidate line that pays; default: the git branch, else ``local``.
        fresh: Whether to ask a question again that was decided before, as the next push of its line.
        key: Key that signs the evidence; ``None`` for no signature.
        code: Whether scorers that the policy names may import modules.

    Returns:
        The comparison and the gate's decision. If the same question was decided before, ``None`` and
        that decision: nothing is asked or spent.

    Raises:
        LlmopsError: See ``comparison_run`` and ``reuse.decided``; also if the candidate is no registered
            version, has the bytes of the baseline, or the suite lacks a slice that the policy protects.

    Example:
        comparison, decision = judge(policy, "models:/bot/4", load_suite("test.jsonl"))
    """
    files = _resolved(candidate)
    other = _resolved(against or baseline(policy, files.base))
    refuse_unknown(policy.gate, suite.examples)
    first = is_first(policy, other, files)
    settings = policy.settings(first=first)
    scorers = tuple(scorer.record for scorer in load_scorers(settings.scorers, code=code))
    model, _ = registry.parse(files.uri)  # only a registered version can have a verdict
    line = line or line_name(os.environ, Path.cwd())
    case = Case(model, line, other, files, suite, policy.gate, settings, scorers, first)
    return _reused(case, key, fresh=fresh) or _judged(case, key, cache=cache, code=code)


def _resolved(side: str | ModelFiles) -> ModelFiles:
    return resolve(side) if isinstance(side, str) else side


def _reused(case: Case, key: SigningKey | None, *, fresh: bool) -> tuple[None, Decision] | None:
    """Return the decision on a question that was decided before; ``None`` if it is to be asked."""
    earlier = None if fresh else reuse.decided(case)
    if earlier is not None:
        say(f"gate: decided before, in run {reuse.run_of(earlier)}: nothing is asked or spent")
        reuse.bear(case, earlier, key)
        return None, earlier
    return None


def _judged(
    case: Case, key: SigningKey | None, *, cache: bool, code: bool
) -> tuple[Comparison, Decision]:
    """Compare, decide and record, in a run that says beforehand what is to be decided."""
    say(
        f"compare: {case.candidate.uri} against {case.baseline.uri} on"
        f" {len(case.suite.examples)} held-out prompts"
    )
    sides, policy = (case.baseline, case.candidate, case.suite), case.policy
    scorers = case.config.scorers if code else None  # those of a caller may import modules
    options: Any = {"scorers": scorers, "cache": cache, "freeze": partial(freeze, case)}
    with comparison_run(*sides, case.config, policy, **options) as comparison:
        decision = gate(comparison, policy, first=case.first)
        record(comparison, decision, key)
    return comparison, decision
