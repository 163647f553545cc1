"""The estimate of what humans prefer, as text and as values of the report's template."""

from __future__ import annotations

import math

from llmops.records import Comparison, HumanLabels
from llmops.report import wording
from llmops.report.wording import metric_name, signed, typeset


def labels_text(comparison: Comparison) -> str:
    """Return the estimate from human labels as lines for a terminal; empty without labels.

    Args:
        comparison: Result of the comparison.

    Example:
        from llmops.compare import with_human_labels
        from llmops.report import labels_text

        print(labels_text(with_human_labels(comparison, "labels.csv")))
    """
    found = comparison.human_labels
    if found is None:
        return ""
    rows = _rows(found)
    width = max(len(name) for name, _, _ in rows)
    lines = [f"  {name:<{width}}  {value}  [{interval}]" for name, value, interval in rows]
    return "\n".join([f"{_head(comparison, found)}:", *lines, f"  {_worth(found)}"])


def labels_section(comparison: Comparison) -> dict[str, object] | None:
    """Return the template values of the section; ``None`` without labels.

    Args:
        comparison: Result of the comparison.

    Returns:
        ``head``, ``rows`` of (name, value, interval), ``worth``, and ``confidence``.
    """
    found = comparison.human_labels
    if found is None:
        return None
    return {
        "head": _head(comparison, found),
        "rows": [(name, typeset(value), typeset(ends)) for name, value, ends in _rows(found)],
        "worth": _worth(found),
        "confidence": wording.percent(found.confidence),
    }


def _head(comparison: Comparison, found: HumanLabels) -> str:
    new, old = (wording.side_name(s) for s in (comparison.candidate, comparison.baseline))
    return (
        f"Human labels of {found.labels:,} of {found.prompts:,} prompts: {new} preferred"
        f" {found.wins:,} times, {old} {found.losses:,} times, {found.ties:,} ties"
    )


def _rows(found: HumanLabels) -> list[tuple[str, str, str]]:
    return [
        (
            f"labels and {metric_name(found.metric)} (PPI++)",
            signed(found.difference),
            f"{signed(found.low)}, {signed(found.high)}",
        ),
        (
            "labels alone",
            signed(found.alone),
            f"{signed(found.alone_low)}, {signed(found.alone_high)}",
        ),
    ]


def _worth(found: HumanLabels) -> str:
    correlation = "undefined" if math.isnan(found.correlation) else f"{found.correlation:.2f}"
    return (
        f"Share preferred minus share rejected, {wording.percent(found.confidence)} CI; as precise as"
        f" {found.effective:,.0f} labels alone; correlation of labels and"
        f" {metric_name(found.metric)} {correlation}"
    )
