"""Several sides as one table."""

from __future__ import annotations

from collections.abc import Sequence

from llmops.records import Comparison, Standing
from llmops.report import wording
from llmops.report.wording import clean, finding, metric_name, signed

HEADER = ("side", "{metric}", "diff", "{confidence} CI", "p", "p (Holm)", "strength", "result")


def standings_table(comparisons: Sequence[Comparison], found: Sequence[Standing]) -> str:
    """Return the sides as a table for a terminal, the best first.

    Args:
        comparisons: All candidates against one baseline.
        found: Their standings.
    """
    first = comparisons[0]
    result = first.metrics[0]
    words = {
        "metric": metric_name(result.metric),
        "confidence": wording.percent(result.test.confidence),
    }
    rows = [tuple(cell.format(**words) for cell in HEADER), *map(_row, found)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADER))]
    lines = [
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    notes = list(dict.fromkeys(note for one in comparisons for note in one.notes))
    return "\n".join(
        [
            f"{len(comparisons)} candidates vs {clean(first.baseline.uri)},"
            f" {wording.prompts(result)} of {clean(first.suite_name, 80)}",
            *lines,
            "The intervals hold simultaneously. Strength: Bradley-Terry log odds against the average"
            " side, with standard error.",
            *_others(first),
            *(f"Note: {clean(note)}" for note in notes),
        ]
    )


def _others(first: Comparison) -> list[str]:
    """Return where the metrics are that do not rank the sides."""
    names = [metric_name(result.metric) for result in first.metrics[1:]]
    return (
        [f"{', '.join(names)}: in the run of each candidate, and in --output json"] if names else []
    )


def _row(one: Standing) -> tuple[str, ...]:
    label, score = clean(one.side.label, 24), f"{one.score:.3f}"
    strength = "-" if one.strength is None else "{:+.2f} ± {:.2f}".format(*one.strength)
    if one.result is None or one.p_holm is None:
        return label, score, "", "", "", "", strength, "baseline"
    test = one.result.test
    return (
        label,
        score,
        signed(test.difference),
        f"[{signed(test.low)}, {signed(test.high)}]",
        wording.p_value(test.p_value),
        wording.p_value(one.p_holm),
        strength,
        finding(one.result).text,
    )
