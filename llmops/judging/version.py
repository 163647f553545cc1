"""Compare a version with its baseline, decide by a policy, and record both."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

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
from llmops.recipe import Compare, Policy
from llmops.records import Comparison, Decision, ModelFiles, Side, Suite
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
        The comparison and the gate's decision. The comparison is ``None`` if the same question was
        decided before: then that decision is returned, and nothing is asked or spent.

    Raises:
        UsageError: The candidate is not a registered version, or has the same bytes as the baseline;
            or the suite lacks a slice that the policy protects.
        IntegrityError: The earlier decision on the question was changed.
        LlmopsError: See ``comparison_run``.

    Example:
        comparison, decision = judge(policy, "models:/bot/4", load_suite("test.jsonl"))
    """
    files = resolve(candidate) if isinstance(candidate, str) else candidate
    registry.parse(files.uri)  # only a registered version can have a verdict
    against = against or baseline(policy, files.base)
    other = resolve(against) if isinstance(against, str) else against
    refuse_unknown(policy.gate, suite.examples)
    first = is_first(policy, other, files)
    settings = policy.settings(first=first)
    case = _case(policy, settings, files, other, suite, line, code=code)
    earlier = None if fresh else reuse.decided(case)
    if earlier is not None:
        say(f"gate: decided before, in run {reuse.run_of(earlier)}: nothing is asked or spent")
        reuse.bear(case, earlier, key)
        return None, earlier
    say(f"compare: {files.uri} against {other.uri} on {len(suite.examples)} held-out prompts")
    freezing = partial(freeze, case)
    with comparison_run(
        other, files, suite, settings, policy.gate, cache=cache, code=code, freeze=freezing
    ) as comparison:
        decision = gate(comparison, policy.gate, first=first)
        record(comparison, decision, key)
    return comparison, decision


def _case(
    policy: Policy,
    settings: Compare,
    candidate: Side,
    against: Side,
    suite: Suite,
    line: str | None,
    *,
    code: bool,
) -> Case:
    """Return what a gate is to decide."""
    name, _ = registry.parse(candidate.uri)
    scorers = tuple(scorer.record for scorer in load_scorers(settings.scorers, code=code))
    line = line or line_name(os.environ, Path.cwd())
    return Case(name, line, against, candidate, suite, policy.gate, settings, scorers)
