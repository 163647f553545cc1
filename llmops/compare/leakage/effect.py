"""What the scores are without the prompts that a version was trained on, and notes about them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from llmops.compare.leakage.detect import Leak
from llmops.records import Row

SHOWN = 3
"""Ids that a note names."""


@dataclass(frozen=True)
class BothScores:
    """Mean scores over all prompts, and over those that were not trained on.

    Attributes:
        n: Number of prompts.
        kept: Number of prompts that were not trained on.
        all: Mean scores of (baseline, candidate) over all prompts, in [0, 1].
        clean: Mean scores over the prompts kept; ``None`` if there are none.
    """

    metric: str
    n: int
    kept: int
    all: tuple[float, float]
    clean: tuple[float, float] | None


def with_and_without(rows: Sequence[Row], flagged: Collection[str]) -> tuple[BothScores, ...]:
    """Return both scores of each metric: over all prompts, and without those that were trained on.

    Args:
        rows: One row or more, each with the same metrics.
        flagged: Ids of examples, such as the keys of what ``leaked`` returns.
    """
    kept = [row for row in rows if row.example.id not in flagged]
    return tuple(
        BothScores(
            metric,
            len(rows),
            len(kept),
            _means(rows, metric),
            _means(kept, metric) if kept else None,
        )
        for metric in rows[0].baseline_scores
    )


def leakage_note(uri: str, leaks: Mapping[str, Leak] | None, total: int) -> str:
    """Describe the check for a reader, also where none was possible.

    Args:
        uri: The version.
        leaks: Example id → leak; ``None`` if the version says nothing of its training data.
        total: Number of examples in the suite.
    """
    if leaks is None:
        return (
            f"not checked: {uri} says nothing of its training data, so the suite may be part of it"
        )
    if not leaks:
        return f"none of {total} prompts is in the training data of {uri}"
    kinds = [leak.kind for leak in leaks.values()]
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(sorted(kinds)))
    some = ", ".join(map(repr, list(leaks)[:SHOWN]))
    return (
        f"{len(leaks)} of {total} prompts are in the training data of {uri} ({counts}), such as {some}:"
        " shown, but not part of the verdict"
    )


def _means(rows: Sequence[Row], metric: str) -> tuple[float, float]:
    return (
        sum(row.baseline_scores[metric] for row in rows) / len(rows),
        sum(row.candidate_scores[metric] for row in rows) / len(rows),
    )
