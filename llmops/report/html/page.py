"""The report: one HTML file that needs no server, no network and no JavaScript."""

from __future__ import annotations

import llmops
from llmops.records import Comparison, Decision, MetricResult, Side
from llmops.report import wording
from llmops.report.html import examples
from llmops.report.html.answers import answer_table
from llmops.report.labels import labels_section
from llmops.report.plots.forest import forest_svg
from llmops.report.plots.histogram import histogram_svg
from llmops.report.plots.narrowing import narrowing_svg
from llmops.report.plots.slices import slice_table
from llmops.report.template import render
from llmops.report.text import claim
from llmops.report.wording import Finding, clean, finding, metric_name, signed, typeset

STATUS_SHAPES = {"PASSED": "✓", "REJECTED": "✕", "INCONCLUSIVE": "?"}
CHECK_WORDS = {True: ("✓", "passed"), False: ("✕", "failed"), None: ("?", "undecided")}
MOST_NOTES = 20


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
        **_head(comparison, decision, result),
        **_figures(comparison, decision, result),
        checks=[
            (*CHECK_WORDS[check.passed], wording.demand(check), wording.outcome(check))
            for check in (decision.checks if decision else ())
        ],
        rows=[_row(r, decision, r is result) for r in comparison.metrics],
        shelves=[
            (shelf, examples.shelf_title(shelf, comparison.candidate.label))
            for shelf in examples.shelves(comparison, result.metric)
        ],
        open_losses=examples.OPEN_LOSSES,
        slices=slice_table(comparison.slices, comparison.metrics[0]),
        stopped=len(comparison.rows) < comparison.available,
        labels=labels_section(comparison),
        answers=answer_table(comparison),
        provenance=_provenance(comparison, decision),
    )


def _head(
    comparison: Comparison, decision: Decision | None, result: MetricResult
) -> dict[str, object]:
    test = result.test
    old, new = (clean(s.label, 24) for s in (comparison.baseline, comparison.candidate))
    return {
        "title": f"{new} vs {old}",
        "sentence": clean(_sentence(comparison, decision, result), 400),
        "pill": _pill(decision, result),
        "baseline": old,
        "candidate": new,
        "primary": metric_name(result.metric),
        "columns": [clean(label, 10) for label in (old, new)],
        "summary": (
            f"{metric_name(result.metric)} {typeset(wording.points(test.difference))} points,"
            f" {wording.percent(test.confidence)} CI {typeset(wording.points(test.low))} to"
            f" {typeset(wording.points(test.high))}, {wording.p_equals(test.p_value)},"
            f" {wording.prompts(result)} of {clean(comparison.suite_name, 80)}"
        ),
        "confidence": wording.percent(test.confidence),
        "notes": [clean(note, 400) for note in comparison.notes[:MOST_NOTES]],
        "nll": wording.nll(comparison),
    }


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


def _figures(
    comparison: Comparison, decision: Decision | None, result: MetricResult
) -> dict[str, object]:
    histogram = histogram_svg(
        examples.differences(comparison, result.metric),
        baseline=comparison.baseline.label,
        candidate=comparison.candidate.label,
    )
    return {
        "forest": forest_svg(comparison, decision),
        "histogram": histogram,
        "narrowing": narrowing_svg(comparison, result, decision),
        "reported_is_wider": comparison.trajectory(result.metric).reported_is_wider,
    }


def _row(result: MetricResult, decision: Decision | None, first: bool) -> dict[str, object]:
    test = result.test
    parts = {"win": test.wins, "tie": test.ties, "loss": test.losses}
    return {
        "first": first,
        "metric": metric_name(result.metric),
        "baseline": f"{result.baseline:.3f}",
        "candidate": f"{result.candidate:.3f}",
        "difference": typeset(signed(test.difference)),
        "interval": f"{typeset(signed(test.low))} to {typeset(signed(test.high))}",
        "p": wording.p_value(test.p_value),
        "finding": finding(result, decision),
        "counts": f"{test.wins:,} / {test.ties:,} / {test.losses:,}",
        "shares": [(kind, f"{100 * n / max(1, test.n):.2f}") for kind, n in parts.items() if n],
    }


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
