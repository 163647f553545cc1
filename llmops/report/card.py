"""The evidence card: Markdown for the description of a version, a model and a run in MLflow.

MLflow's renderer needs a line break after a table; ``markdown.py`` lists its other limits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from llmops.records import Comparison, Decision, MetricResult
from llmops.report import wording
from llmops.report.markdown import LINK_LIMIT, address, code, escape, row
from llmops.report.wording import clean, finding, metric_name, signed, typeset
from llmops.store.tags import DELTA, EVIDENCE, VERDICT, VERSUS

MOST_METRICS = 8
"""Rows of the table."""
MOST_NOTES = 2
MOST_LINKS = 6
VERSUS_LIMIT = 24
"""Most characters of the tag ``versus``: MLflow shortens name and value beyond 30 together."""

_LINK = re.compile(r"(?:#/|get-artifact\?|https?://)")


def evidence_card(comparison: Comparison, decision: Decision, links: Mapping[str, str]) -> str:
    """Return the verdict and its evidence as Markdown, in fewer than 5,000 characters.

    Args:
        comparison: Result of the comparison.
        decision: Decision of the gate.
        links: Link text → address. ``#/…`` and ``get-artifact?…`` are relative to the MLflow
            server; any other address that is not http(s) is omitted.

    Returns:
        Markdown for the description of a version, model or run in MLflow.

    Example:
        from llmops.report import evidence_card

        card = evidence_card(comparison, decision, {"report": "https://example.com/report.html"})
    """
    # The first line is plain: MLflow's version table shows its beginning as raw Markdown.
    blocks = [
        f"{escape(clean(decision.sentence, 240))}\n---\n{_interval(comparison, decision)}",
        "\n".join(_table(comparison, decision)),
        "<br>",
        f"![](get-artifact?path=report/forest.svg&run_uuid={quote(comparison.run_id, safe='')})",
        *(f"Note: {escape(clean(note, 160))}" for note in comparison.notes[:MOST_NOTES]),
        _links(links),
        f"Gate {wording.status(decision)} · Evidence SHA-256 `{code(decision.evidence_digest)}`",
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def version_tags(comparison: Comparison, decision: Decision) -> dict[str, str]:
    """Return the tags that describe a decision on a version's page in MLflow.

    Args:
        comparison: Result of the comparison.
        decision: Decision of the gate.

    Returns:
        Tag → value in the order in which to set them, short enough for MLflow's table. The last
        names the evidence, and allows a promotion.

    Example:
        from llmops.report import version_tags

        tags = version_tags(comparison, decision)  # {"verdict": "IMPROVED", …}
    """
    return {
        VERDICT: str(decision.verdict),
        DELTA: _delta(wording.primary(comparison, decision)),
        VERSUS: _versus(comparison),
        EVIDENCE: decision.evidence_digest[:12],
    }


def _delta(result: MetricResult) -> str:
    test = result.test
    difference, low, high = (round(x, 2) + 0.0 for x in (test.difference, test.low, test.high))
    return f"{difference:+.2f} [{low:.2f}, {high:.2f}]"


def _versus(comparison: Comparison) -> str:
    """Return the baseline: ``v2`` of the same registered model, else with the name of its model."""
    old, new = comparison.baseline, comparison.candidate
    same = old.name.rpartition("/")[0] == new.name.rpartition("/")[0] != ""
    return clean(f"v{old.name.rpartition('/')[2]}" if same else old.name, VERSUS_LIMIT)


def _interval(comparison: Comparison, decision: Decision) -> str:
    result = wording.primary(comparison, decision)
    test = result.test
    return (
        f"{wording.percent(test.confidence)} CI {typeset(wording.points(test.low))} to"
        f" {typeset(wording.points(test.high))} points"
        f" · {wording.p_equals(test.p_value)}"
        f" · {wording.prompts(result)}"
        f" · dataset `{code(clean(comparison.suite_name, 60))}`"
    )


def _table(comparison: Comparison, decision: Decision) -> list[str]:
    first = wording.primary(comparison, decision)
    results = [first, *(r for r in comparison.metrics if r is not first)]
    sides = (comparison.baseline, comparison.candidate)
    labels = [escape(clean(side.label, 16)) for side in sides]
    confidence = wording.percent(first.test.confidence)
    lines = [
        row(["Metric", *labels, "Difference", f"{confidence} CI", "Result"]),
        "|---|---|---|---|---|---|",
        *(_row(r, decision, bold=r is first) for r in results[:MOST_METRICS]),
    ]
    if hidden := len(results[MOST_METRICS:]):
        lines.append(row([f"{hidden} more in the report", "", "", "", "", ""]))
    return lines


def _row(result: MetricResult, decision: Decision, *, bold: bool) -> str:
    test, outcome = result.test, finding(result, decision)
    strong = "**" if bold else ""
    shown = f"{outcome.shape} {outcome.word}"
    return row(
        [
            f"{strong}{escape(metric_name(result.metric))}{strong}",
            f"{result.baseline:.3f}",
            f"{strong}{result.candidate:.3f}{strong}",
            f"{strong}{typeset(signed(test.difference))}{strong}",
            f"{typeset(signed(test.low))} to {typeset(signed(test.high))}",
            f"{strong}{shown}{strong}" + (f" ({outcome.detail})" if outcome.detail else ""),
        ]
    )


def _links(links: Mapping[str, str]) -> str:
    good = {text: address(url) for text, url in links.items() if _LINK.match(url)}
    short = [(text, url) for text, url in good.items() if len(url) <= LINK_LIMIT]
    return " · ".join(f"[{escape(clean(text, 32))}]({url})" for text, url in short[:MOST_LINKS])
