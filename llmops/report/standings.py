"""The table of several candidates against one baseline."""

from __future__ import annotations

from collections.abc import Sequence

from llmops.records import Comparison, Standing
from llmops.report import wording
from llmops.report.wording import clean, finding, metric_name, signed

HEADER = ("side", "{metric}", "diff", "{confidence} CI", "p", "p (Holm)", "strength", "result")


def standings_table(comparisons: Sequence[Comparison], standings: Sequence[Standing]) -> str:
    """Return the sides as a table for a terminal, in the order given.

    Args:
        comparisons: Comparisons of each candidate with the same baseline, at least one.
        standings: Their standings, best side first.

    Returns:
        Plain text with a line for each side, followed by notes.

    Example:
        from llmops.compare import standings
        from llmops.report import standings_table

        print(standings_table(comparisons, standings(comparisons)))
    """
    first = comparisons[0]
    result = first.metrics[0]
    words = {
        "metric": metric_name(result.metric),
        "confidence": wording.percent(result.test.confidence),
    }
    rows = [tuple(cell.format(**words) for cell in HEADER), *map(_row, standings)]
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
    """Return where to find the metrics that do not rank the sides."""
    names = [metric_name(result.metric) for result in first.metrics[1:]]
    return (
        [f"{', '.join(names)}: in the run of each candidate, and in --output json"] if names else []
    )


def _row(standing: Standing) -> tuple[str, ...]:
    label, score = clean(standing.side.label, 24), f"{standing.score:.3f}"
    strength = "-" if standing.strength is None else "{:+.2f} ± {:.2f}".format(*standing.strength)
    if standing.result is None or standing.p_holm is None:
        return label, score, "", "", "", "", strength, "baseline"
    test = standing.result.test
    return (
        label,
        score,
        signed(test.difference),
        f"[{signed(test.low)}, {signed(test.high)}]",
        wording.p_value(test.p_value),
        wording.p_value(standing.p_holm),
        strength,
        finding(standing.result).text,
    )
