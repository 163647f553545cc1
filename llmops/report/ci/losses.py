"""The prompts that the candidate loses by most, with both answers side by side."""

from __future__ import annotations

from llmops.records import Comparison, Row
from llmops.report import wording
from llmops.report.ci.escape import block, inline
from llmops.report.wording import signed, typeset

MOST = 5
LIMIT = 400
"""Characters of a prompt or answer; with ``MOST``, this keeps a comment below its limit."""


def largest_losses(comparison: Comparison, metric: str) -> str:
    """Return the prompts with the largest loss on a metric as an HTML table; empty without a loss.

    HTML, because Markdown's tables have no room for text with line breaks. The block has no empty
    line, which would end it.

    Args:
        comparison: Result of the comparison, with its rows.
        metric: Name of the metric.
    """
    rows = [row for row in comparison.rows if metric in row.candidate_scores]
    losing = sorted((row for row in rows if _loss(row, metric) < 0), key=lambda r: _loss(r, metric))
    if not losing:
        return ""
    old, new = (inline(s.label, 24) for s in (comparison.baseline, comparison.candidate))
    name = inline(wording.metric_name(metric), 40)
    count = f"{len(losing):,} prompt{'' if len(losing) == 1 else 's'}"
    shown = f", the largest {MOST}" if len(losing) > MOST else ""
    head = "".join(f"<th>{title}</th>" for title in (name, "Prompt", old, new))
    return "\n".join(
        [
            f"**{new} loses on {count}{shown}** ({name}):",
            "",
            f"<table><tr>{head}</tr>",
            *(_row(row, metric) for row in losing[:MOST]),
            "</table>",
        ]
    )


def _loss(row: Row, metric: str) -> float:
    return round(row.candidate_scores[metric] - row.baseline_scores[metric], 12)


def _row(row: Row, metric: str) -> str:
    messages = row.example.messages
    asked = str(messages[-1]["content"]) if messages else ""
    texts = (asked, row.baseline.text, row.candidate.text)
    cells = "".join(f"<td>{block(text, LIMIT)}</td>" for text in texts)
    return f"<tr><td>{typeset(signed(_loss(row, metric)))}</td>{cells}</tr>"
