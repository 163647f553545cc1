"""A decision as Markdown, for a job's summary and for a comment on the pull request.

The first lines say verdict, reason and next step; below are table, answers and figures. GitHub takes
65,536 characters in a comment and 1 MiB in a summary; every part is limited, so the whole stays below.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

from llmops.records import Check, Comparison, Decision, MetricResult
from llmops.report import wording
from llmops.report.budget import spent
from llmops.report.ci import steps
from llmops.report.ci.escape import inline
from llmops.report.ci.losses import largest_losses
from llmops.report.markdown import LINK_LIMIT, address, code
from llmops.report.wording import clean, points, signed, typeset, visible

SHAPES = {"PASSED": "✅", "REJECTED": "❌", "INCONCLUSIVE": "❔"}
MOST_CHECKS, MOST_METRICS, MOST_NOTES, MOST_LINKS = 20, 12, 5, 6
WEB = ("https://", "http://")


def summary(
    comparison: Comparison,
    decision: Decision,
    links: Mapping[str, str],
    *,
    usd_per_hour: float | None = None,
) -> str:
    """Return a decision as Markdown, below 65,536 characters.

    Args:
        comparison: Result of the comparison.
        decision: Decision of the gate.
        links: Link text → address of a page, such as ``{"Report": "https://…"}``; an address that is
            not http(s) is omitted.
        usd_per_hour: Price of the machine in US dollars; ``None`` if it is unknown.

    Example:
        from llmops.report.ci import summary

        print(summary(comparison, decision, {"Run": "https://mlflow.example/#/experiments/1/runs/2"}))
    """
    blocks = [
        *_head(comparison, decision, links),
        "\n".join(_requirements(comparison, decision)),
        "\n".join(_others(comparison, decision)),
        largest_losses(comparison, steps.deciding(decision).metric),
        "\n".join(_figures(comparison, decision, usd_per_hour)),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def no_verdict_summary(message: str, code: int) -> str:
    """Return Markdown that says that no verdict was reached.

    Args:
        message: Why, such as the message of the error.
        code: Exit code of the command.
    """
    lines = [line for line in message.splitlines() if line.strip()][:8]
    return "\n\n".join(
        [
            "## ⚠️ No verdict was reached",
            f"`llmops gate` ended with exit code {code} before it had decided; nothing was promoted.",
            *(f"> {inline(line, 400)}" for line in lines),
            "This is a failure of the job, not a judgement on the version.\n",
        ]
    )


def no_verdict_page(message: str) -> str:
    """Return HTML that says that no verdict was reached."""
    text = html.escape(visible(message[:4_000]))
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>No verdict</title>'
        f"<h1>No verdict was reached</h1><pre>{text}</pre></html>\n"
    )


def _head(comparison: Comparison, decision: Decision, links: Mapping[str, str]) -> list[str]:
    """Return verdict, reason, place and next step, each a block of one line."""
    status, check = wording.status(decision), steps.deciding(decision)
    uri = comparison.candidate.uri
    blocks = [
        f"## {SHAPES[status]} {inline(steps.headline(decision), 260)}",
        f"**Why:** {inline(_why(decision, check, comparison), 400)}",
    ]
    slice_ = steps.driver(comparison, decision)
    if slice_ is not None:
        blocks.append(
            f"**Where:** most of the loss is on {inline(slice_.key, 40)}"
            f" {inline(slice_.value, 60)}: {typeset(points(slice_.difference))} points,"
            f" {typeset(points(slice_.low))} to {typeset(points(slice_.high))},"
            f" {slice_.n:,} of {len(comparison.rows):,} prompts"
        )
    step = steps.next_step(decision, uri)
    command = f"`{code(clean(step.command, 250))}` " if step.command else ""
    blocks.append(f"**Next:** {command}{inline(step.note)}".rstrip())
    pages = {text: address(url) for text, url in links.items() if url.startswith(WEB)}
    short = {text: url for text, url in pages.items() if len(url) <= LINK_LIMIT}
    shown = [f"[{inline(text, 30)}]({url})" for text, url in list(short.items())[:MOST_LINKS]]
    blocks.append(" · ".join([*shown, f"version `{code(clean(uri, 150))}`"]))
    return blocks


def _why(decision: Decision, check: Check, comparison: Comparison) -> str:
    if wording.status(decision) != "PASSED":
        return steps.reason(check, comparison)
    passed = sum(each.passed is True for each in decision.checks)
    text = f"{passed} of {len(decision.checks)} requirements hold"
    return f"{text}; {steps.reason(decision.checks[0], comparison)}"


def _requirements(comparison: Comparison, decision: Decision) -> list[str]:
    """Return the table of requirements, the failed ones first."""
    results = {result.metric: result for result in comparison.metrics}
    sides = (comparison.baseline, comparison.candidate)
    labels = [inline(side.label, 24) for side in sides]
    order = {False: 0, None: 1, True: 2}
    checks = sorted(decision.checks, key=lambda check: order[check.passed])
    lines = [_cells(["", "Requirement", *labels, "Difference", "Interval", "Result"])]
    lines += ["|---|---|---|---|---|---|---|"]
    lines += [_requirement(check, results.get(check.metric)) for check in checks[:MOST_CHECKS]]
    if hidden := len(checks) - MOST_CHECKS:
        lines += [f"\n{hidden} more in the report"] if hidden > 0 else []
    return lines


def _requirement(check: Check, result: MetricResult | None) -> str:
    mark = {True: "✅", False: "❌", None: "❔"}[check.passed]
    figures = _interval(result) if result else [""] * 4
    texts = (wording.demand(check), wording.outcome(check))
    demand, outcome = (inline(text, 200) for text in texts)
    return _cells([mark, demand, *figures, outcome])


def _interval(result: MetricResult) -> list[str]:
    test = result.test
    return [
        f"{result.baseline:.3f}",
        f"{result.candidate:.3f}",
        typeset(signed(test.difference)),
        f"{typeset(signed(test.low))} to {typeset(signed(test.high))}"
        f" ({wording.percent(test.confidence)})",
    ]


def _others(comparison: Comparison, decision: Decision) -> list[str]:
    """Return the metrics that no requirement names, folded; no lines without any."""
    named = {check.metric for check in decision.checks}
    others = [result for result in comparison.metrics if result.metric not in named]
    if not others:
        return []
    rows = [
        _cells([inline(wording.metric_name(result.metric), 40), *_interval(result)])
        for result in others[:MOST_METRICS]
    ]
    head = ["Metric", "baseline", "candidate", "Difference", "Interval"]
    top = ["<details><summary>Metrics without a requirement</summary>", ""]
    return [*top, _cells(head), "|---|---|---|---|---|", *rows, "", "</details>"]


def _cells(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _figures(comparison: Comparison, decision: Decision, usd_per_hour: float | None) -> list[str]:
    """Return what the suite can show, what the answers cost, and the notes, as a list."""
    test = wording.primary(comparison, decision).test
    facts = {
        "Suite": f"{inline(comparison.suite_name, 60)}, {test.n:,} of {comparison.available:,} prompts"
        f" count; method {inline(comparison.method, 20)}",
        "MDE": f"±{points(test.detectable).lstrip('+')} points at 80% power",
        "A/A flip rate": _flips(decision),
        "Would decide it": _needed(decision),
        "Error budget": inline(spent(decision.budget), 200) if decision.budget else "",
        "Cost": _cost(comparison, usd_per_hour),
        "Evidence": f"SHA-256 `{code(decision.evidence_digest)}`",
    }
    notes = [f"- Note: {inline(note, 300)}" for note in comparison.notes[:MOST_NOTES]]
    return [f"- **{name}:** {fact}" for name, fact in facts.items() if fact] + notes


def _flips(decision: Decision) -> str:
    outlook = decision.outlook
    if outlook is None:
        return ""
    several = len(decision.checks) > 1 and 0 < outlook.equal_fail < 1
    rate = f"{'at most ' if several else ''}{wording.percent(round(outlook.equal_fail, 2))}"
    text = f"{rate}, the probability that two equally good versions do not pass this gate"
    return f"{text}, which demands a gain" if outlook.demands_gain else text


def _needed(decision: Decision) -> str:
    outlook = decision.outlook
    if outlook is None or all(check.passed is not None for check in decision.checks):
        return ""
    if outlook.prompts is None:
        return "no number of prompts, if the differences stay as they are"
    return (
        f"about {outlook.prompts:,} prompts at 80% power, if the differences stay as they are"
        f" ({outlook.asked:,} counted)"
    )


def _cost(comparison: Comparison, usd_per_hour: float | None) -> str:
    """Return tokens, seconds and dollars; cached answers count as tokens and take no seconds."""
    answers = [a for row in comparison.rows for a in (row.baseline, row.candidate)]
    written, read = sum(a.tokens for a in answers), sum(a.prompt_tokens for a in answers)
    text = f"{written:,} tokens answered, {read:,} read, {comparison.seconds:,.0f} s"
    if usd_per_hour is None:
        return text
    return f"{text}, ${comparison.seconds / 3600 * usd_per_hour:,.4f}"
