"""Why a decision is as it is, and what its reader does next: for the log, the summary and JUnit."""

from __future__ import annotations

from typing import NamedTuple

from llmops.records import Check, Comparison, Decision, SliceResult, Verdict
from llmops.report import wording
from llmops.report.wording import clean, points

STATES = {True: "holds", False: "does not hold", None: "is undecided"}


class Step(NamedTuple):
    """What to do next.

    Attributes:
        command: The command to type; empty if there is none.
        note: What to know or to do besides; empty for nothing.
    """

    command: str
    note: str = ""

    def __str__(self) -> str:
        if not self.command:
            return self.note
        return f"{self.command}  ({self.note})" if self.note else self.command


def deciding(decision: Decision) -> Check:
    """Return the requirement that decided: a failed one, else an undecided one, else the first."""
    failed = [check for check in decision.checks if check.passed is False]
    undecided = [check for check in decision.checks if check.passed is None]
    return [*failed, *undecided, *decision.checks][0]


def headline(decision: Decision) -> str:
    """Return status and sentence, or the requirement for a gain that is ruled out.

    A sentence that begins with the status, as each inconclusive one does, says it once.
    """
    status, check = wording.status(decision), deciding(decision)
    ruled_out = status == "REJECTED" and decision.verdict is not Verdict.REGRESSED
    if ruled_out:
        return f"{status}: {wording.demand(check)}, and that is ruled out"
    return f"{status}: {decision.sentence.removeprefix(f'{status}: ')}"


def reason(check: Check, comparison: Comparison | None = None) -> str:
    """Return a requirement and how it ended, with figures if the comparison is at hand."""
    text = f"{wording.demand(check)}: {STATES[check.passed]}, {wording.outcome(check)}"
    results = comparison.metrics if comparison else ()
    test = next((result.test for result in results if result.metric == check.metric), None)
    if test is None:
        return text
    return (
        f"{text}; {points(test.difference)} points,"
        f" {wording.percent(test.confidence)} CI {points(test.low)} to {points(test.high)}"
    )


def next_step(decision: Decision, uri: str) -> Step:
    """Return what to do next.

    Args:
        decision: Decision of the gate.
        uri: The version that was judged.

    Example:
        from llmops.report.ci import next_step

        print(next_step(decision, "models:/bot/3"))  # llmops promote models:/bot/3
    """
    status = wording.status(decision)
    if status == "PASSED":
        return Step(f"llmops promote {uri}{_alias(decision)}")
    if status == "REJECTED":
        return Step(f"llmops show {uri}", "nothing was promoted; the report has every answer")
    outlook = decision.outlook
    if outlook is None or outlook.prompts is None or outlook.prompts <= outlook.asked:
        return Step(f"llmops show {uri}", "nothing was promoted; add prompts to the suite")
    more = f"about {outlook.prompts:,} would decide it, {outlook.asked:,} counted"
    return Step("", f"add prompts to the suite: {more}; nothing was promoted")


def _alias(decision: Decision) -> str:
    """Return the option that names the policy's alias, which a promotion must name."""
    policy = decision.evidence.get("policy")
    alias = policy.get("on_pass") if isinstance(policy, dict) else None
    return f" --to {clean(str(alias))}" if alias not in (None, "champion") else ""


def driver(comparison: Comparison, decision: Decision) -> SliceResult | None:
    """Return the slice that holds most of a rejection's loss; ``None`` if none is to blame.

    Slices are results of the first metric; its loss on a slice is difference times prompts.
    """
    check = deciding(decision)
    if check.passed is not False or not comparison.metrics:
        return None
    if check.metric != comparison.metrics[0].metric:
        return None
    tested = [item for item in comparison.slices if isinstance(item, SliceResult)]
    losing = [item for item in tested if item.difference < 0]
    return min(losing, key=lambda item: item.difference * item.n, default=None)
