"""The report: one HTML file that needs no server, no network and no JavaScript."""

from __future__ import annotations

import re
from typing import Any

import llmops
from llmops.recipe.built_in_scorers import BY_NAME
from llmops.records import Comparison, Decision, MetricResult, Side
from llmops.report import wording
from llmops.report.html import examples, panes
from llmops.report.html.answers import answer_table
from llmops.report.labels import labels_section
from llmops.report.plots import strip
from llmops.report.plots.scale import Scale
from llmops.report.template import render
from llmops.report.text import claim
from llmops.report.wording import Finding, clean, finding, metric_name, typeset

STATUS_SHAPES = {"PASSED": "✓", "REJECTED": "✕", "INCONCLUSIVE": "?"}
CHECK_WORDS = {True: ("✓", "passed"), False: ("✕", "failed"), None: ("?", "undecided")}
MOST_NOTES = 20
MOST_SCORERS = 24

_MARKDOWN = re.compile(r"\[([^\]]+)\]\([^)]*\)|`([^`]*)`")


def html_report(comparison: Comparison, decision: Decision | None = None) -> str:
    """Return the report of a comparison as one HTML page, below 2 MB for any suite.

    MLflow shows it in a sandboxed frame where links do not work, so addresses are printed as text.
    All foreign text is escaped, and a policy in the page forbids scripts and external resources.

    Args:
        comparison: Result of the comparison, with every answer.
        decision: Decision of the gate; ``None`` if the gate did not run. The page then leads with
            the first metric.

    Returns:
        A complete HTML document.

    Example:
        from pathlib import Path

        from llmops.report import html_report

        Path("report.html").write_text(html_report(comparison), encoding="utf-8")
    """
    result = wording.primary(comparison, decision)
    return render(
        "html/report.html.j2",
        **_first(comparison, decision, result),
        baseline=clean(comparison.baseline.label, 24),
        candidate=clean(comparison.candidate.label, 24),
        nll=wording.nll(comparison),
        checks=[
            (*CHECK_WORDS[check.passed], wording.demand(check), wording.outcome(check))
            for check in (decision.checks if decision else ())
        ],
        panes=panes.panes(comparison, decision, result),
        further=panes.further(comparison, result),
        open_losses=examples.OPEN_LOSSES,
        stopped=len(comparison.rows) < comparison.available,
        labels=labels_section(comparison),
        answers=answer_table(comparison),
        settings=_settings(comparison),
        provenance=_provenance(comparison, decision),
    )


def first_screen(comparison: Comparison) -> str:
    """Return the report's first screen, verdict and table, as HTML for a notebook.

    It has no scripts, its style holds for itself only, and all foreign text is escaped.

    Args:
        comparison: Result of the comparison.

    Example:
        from IPython.display import HTML

        from llmops.report import first_screen

        HTML(first_screen(comparison))
    """
    result = comparison.metrics[0]
    return render(
        "html/first_screen.html.j2",
        **_first(comparison, None, result),
        run=clean(comparison.run_id, 40),
    )


def _first(
    comparison: Comparison, decision: Decision | None, result: MetricResult
) -> dict[str, object]:
    """Return the template values of the first screen."""
    tests = [one.test for one in comparison.metrics]
    axis = strip.axis_of(x for test in tests for x in (test.low, test.high, test.difference))
    return {
        "top": _head(comparison, decision, result),
        "columns": [clean(s.label, 10) for s in (comparison.baseline, comparison.candidate)],
        "confidence": wording.percent(result.test.confidence),
        "rows": [_row(r, decision, axis, r is result) for r in comparison.metrics],
        "plot": strip.frame(axis),
    }


def _head(
    comparison: Comparison, decision: Decision | None, result: MetricResult
) -> dict[str, object]:
    notes = [*filter(None, [wording.outside(comparison)]), *comparison.notes]
    return {
        "title": _title(comparison),
        "when": comparison.when[:16].replace("T", " ") + " UTC" if comparison.when else "",
        "sentence": wording.typeset_within(clean(_sentence(comparison, decision, result), 400)),
        "pill": _pill(decision, result),
        "summary": _summary(comparison, result),
        "notes": [clean(note, 400) for note in notes[:MOST_NOTES]],
    }


def _title(comparison: Comparison) -> str:
    """Return which model against which, and the suite's name."""
    old, new = (clean(s.name, 60) for s in (comparison.baseline, comparison.candidate))
    return f"{new} vs {old}"


def _summary(comparison: Comparison, result: MetricResult) -> str:
    """Return what the sentence does not say: interval, p-value, prompts."""
    test = result.test
    return (
        f"{metric_name(result.metric)}: {wording.percent(test.confidence)} CI"
        f" {typeset(wording.points(test.low))} to {typeset(wording.points(test.high))} points,"
        f" {wording.p_equals(test.p_value)}, {wording.prompts(result)} of"
        f" {clean(comparison.suite_name, 80)}"
    )


def _sentence(comparison: Comparison, decision: Decision | None, result: MetricResult) -> str:
    if decision is None:
        return claim(comparison, result.metric, wording.verdict(result))
    return decision.sentence


def _pill(decision: Decision | None, result: MetricResult) -> Finding:
    """Return the outcome of the gate as word and shape, else that of the first metric."""
    if decision is None:
        return finding(result)
    word = wording.status(decision)
    return Finding(word, STATUS_SHAPES[word], word)


def _row(
    result: MetricResult, decision: Decision | None, axis: Scale, first: bool
) -> dict[str, object]:
    test, found = result.test, finding(result, decision)
    parts = {"win": test.wins, "tie": test.ties, "loss": test.losses}
    return {
        "first": first,
        "metric": metric_name(result.metric),
        "baseline": f"{result.baseline:.3f}",
        "candidate": f"{result.candidate:.3f}",
        **strip.row(axis, (test.low, test.difference, test.high), found.shape, found.tone),
        "p": wording.p_value(test.p_value),
        "finding": found,
        "counts": f"{test.wins:,} / {test.ties:,} / {test.losses:,}",
        "shares": [(kind, f"{100 * n / max(1, test.n):.2f}") for kind, n in parts.items() if n],
    }


def _settings(comparison: Comparison) -> list[tuple[str, str]]:
    """Return rows of (name, value): how answers were made, and what each scorer measures."""
    shown = {"confidence": comparison.metrics[0].test.confidence, **comparison.settings}
    rows = [
        (
            name.replace("_", " "),
            clean(f"{value:g}" if isinstance(value, float) else str(value), 80),
        )
        for name, value in shown.items()
        if name != "scorers"
    ]
    scorers: Any = comparison.settings.get("scorers", ())
    for scorer in scorers[:MOST_SCORERS]:
        name, spec = scorer["name"], scorer["spec"]
        known = BY_NAME.get(str(spec).partition(":")[0])
        meaning = f": {_MARKDOWN.sub(_plain, known.meaning)}" if known else ""
        rows.append((f"scorer {metric_name(name)}", clean(f"{spec}{meaning}", 500)))
    return rows


def _plain(match: re.Match[str]) -> str:
    return match[1] or match[2]


def _bytes(side: Side) -> str:
    """Return a side with the digests of its adapter and its base, or of its URL."""
    if side.base is None:
        return f"{side.uri} · {side.digest}"
    parts = [side.uri, side.adapter_digest and f"adapter {side.adapter_digest}"]
    return " · ".join(part for part in [*parts, f"base {side.base.digest}"] if part)


def _provenance(comparison: Comparison, decision: Decision | None) -> list[tuple[str, str]]:
    """Return rows of (name, value) that identify the inputs and software of the comparison."""
    old, new = comparison.baseline, comparison.candidate
    known = {
        "candidate": _bytes(new),
        "baseline": _bytes(old),
        "base model": f"{new.base.uri} · {new.base.digest}" if new.base else "",
        "suite": f"{comparison.suite_name} · {comparison.suite_digest}",
        "evidence": decision.evidence_digest if decision else "",
        "MLflow run": comparison.run_id,
        "time": f"{comparison.seconds:,.0f} s",
        "llmops": llmops.__version__,
    }
    return [(name, clean(value, 500)) for name, value in known.items() if value]
