"""The result as a terminal table, and the verdict as one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from llmops.records import (
    Check,
    Comparison,
    Decision,
    MetricResult,
    PairedTest,
    SliceResult,
    Verdict,
)
from llmops.report import wording
from llmops.report.budget import spent
from llmops.report.plots.slices import outstanding
from llmops.report.wording import clean, finding, metric_name, points, side_name

LABEL_WIDTH = 12
GAP = "  "


def sentence(comparison: Comparison, metric: str, verdict: Verdict) -> str:
    """Return the verdict on one metric in one line.

    Args:
        comparison: Result of the comparison.
        metric: Name of one of its metrics, such as ``token_f1``.
        verdict: Verdict of the gate on that metric.

    Returns:
        A sentence such as ``IMPROVED: v3 beats v2 on token F1 by +20.8 points``.

    Raises:
        KeyError: The comparison did not compute the metric.

    Example:
        from llmops.records import Verdict
        from llmops.report import sentence

        print(sentence(comparison, "token_f1", Verdict.IMPROVED))
    """
    return f"{verdict}: {claim(comparison, metric, verdict)}"


def claim(comparison: Comparison, metric: str, verdict: Verdict) -> str:
    """Return the part of ``sentence`` after the verdict."""
    test = comparison.metric(metric).test
    new, old = side_name(comparison.candidate), side_name(comparison.baseline)
    name, difference = metric_name(metric), _by(comparison, test)
    says = {
        Verdict.IMPROVED: f"{new} beats {old} on {name} by {difference}",
        Verdict.NOT_WORSE: (
            f"{new} is not worse than {old} on {name}: {difference}, at worst {points(test.low)}"
        ),
        Verdict.REGRESSED: f"{new} is worse than {old} on {name}: {difference}",
        Verdict.INCONCLUSIVE: (
            f"{new} against {old} on {name} is inconclusive: {points(test.difference)} points,"
            f" {wording.percent(test.confidence)} CI {points(test.low)} to {points(test.high)}"
        ),
    }
    return says[verdict]


def _by(comparison: Comparison, test: PairedTest) -> str:
    """Return a difference in points; after an early stop its interval, as the estimate is too large."""
    early = comparison.method != "fixed" and 0 < len(comparison.rows) < comparison.available
    if early:
        interval = f"{points(test.low)} to {points(test.high)} points"
        return f"{interval} (stopped early at {points(test.difference)})"
    return f"{points(test.difference)} points"


def comparison_table(comparison: Comparison, decision: Decision | None = None) -> str:
    """Return the result for a terminal: plain text without colour or control characters.

    Args:
        comparison: Result of the comparison.
        decision: Decision of the gate, added below the table; ``None`` if the gate did not run.

    Example:
        from llmops.compare import compare
        from llmops.report import comparison_table

        print(comparison_table(compare("models:/support/3", "models:/support/2", "suite.jsonl")))
    """
    lines = [_header(comparison), *_table(comparison, decision), *_footer(comparison)]
    if decision is not None:
        lines += _gate(decision)
    return "\n".join(lines)


def _header(comparison: Comparison) -> str:
    new, old = comparison.candidate, comparison.baseline
    return (
        f"{side_name(new)} ({clean(new.uri)}) vs {side_name(old)} ({clean(old.uri)}),"
        f" {wording.prompts(comparison.metrics[0])} of {clean(comparison.suite_name, 80)}"
    )


def _table(comparison: Comparison, decision: Decision | None) -> list[str]:
    confidence = wording.percent(comparison.metrics[0].test.confidence)
    sides = [clean(s.label, LABEL_WIDTH) for s in (comparison.baseline, comparison.candidate)]
    header = ["metric", *sides, "diff", f"{confidence} CI", "p", "w/t/l", "result"]
    rows = [_row(result, decision) for result in comparison.metrics]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    return [_line(cells, widths) for cells in (header, *rows)]


def _row(result: MetricResult, decision: Decision | None) -> list[str]:
    test = result.test
    return [
        metric_name(result.metric),
        f"{result.baseline:.3f}",
        f"{result.candidate:.3f}",
        wording.signed(test.difference),
        f"[{wording.signed(test.low)}, {wording.signed(test.high)}]",
        wording.p_value(test.p_value),
        f"{test.wins}/{test.ties}/{test.losses}",
        finding(result, decision).text,
    ]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return GAP.join(c.ljust(w) for c, w in zip(cells, widths, strict=True)).rstrip()


def _footer(comparison: Comparison) -> list[str]:
    old, new = (clean(s.label, LABEL_WIDTH) for s in (comparison.baseline, comparison.candidate))
    lines = [
        f"w/t/l: prompts that {new} wins, ties, loses. MDE: minimum detectable effect at 80% power."
    ]
    if nll := wording.nll(comparison):
        lines.append(
            f"NLL per expected token, lower is better: {old} {nll['baseline']},"
            f" {new} {nll['candidate']}"
        )
    lines += [_slice(item) for item in outstanding(comparison)]
    notes = [*filter(None, [wording.outside(comparison)]), *comparison.notes]
    return lines + [f"Note: {clean(note, 400)}" for note in notes]


def _slice(item: SliceResult) -> str:
    return (
        f"Slice {clean(item.key, 40)} {clean(item.value, 40)}: {wording.signed(item.difference)}"
        f" [{wording.signed(item.low)}, {wording.signed(item.high)}],"
        f" {item.n:,} prompts, p {wording.p_value(item.p_adjusted)} adjusted for all slices"
    )


def _gate(decision: Decision) -> list[str]:
    passed = sum(check.passed is True for check in decision.checks)
    head = f"Gate: {wording.status(decision)} {passed}/{len(decision.checks)}"
    lines = [f"{head}  {clean(decision.sentence)}", *map(_check, decision.checks)]
    return lines if decision.budget is None else [*lines, f"Budget: {spent(decision.budget)}"]


def _check(check: Check) -> str:
    state = {True: "passed", False: "failed", None: "undecided"}[check.passed]
    return f"  {state:<9}  {wording.demand(check)}: {wording.outcome(check)}"
