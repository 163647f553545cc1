"""Controls of judges: a judge that fails its controls decides nothing."""

from __future__ import annotations

from collections.abc import Sequence

from llmops.recipe.schema import Gate
from llmops.records import Check, JudgeControls, Verdict


def checks(policy: Gate, judges: Sequence[JudgeControls]) -> tuple[Check, ...]:
    """Check the controls of each judge that a requirement reads; undecided if they failed."""
    read = {requirement.metric for requirement in policy.require}
    if not policy.judge_controls:
        return ()
    return tuple(_check(judge) for judge in judges if judge.metric in read)


def _check(judge: JudgeControls) -> Check:
    return Check(
        metric=judge.metric,
        must="hold",
        margin=0.0,
        verdict=Verdict.INCONCLUSIVE,  # the judge is at fault, not the candidate
        passed=None if judge.failures else True,
        reason="; ".join(judge.failures),
    )
