"""The effect of leakage: mean scores with and without the leaked prompts, and notes about them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from llmops.compare.leakage.detect import Leak
from llmops.records import Row

SHOWN = 3
"""Number of ids that a note names."""


@dataclass(frozen=True)
class BothScores:
    """Mean scores over all prompts, and over those that no side was trained on.

    Attributes:
        metric: Name of the metric.
        n: Number of prompts.
        kept: Number of prompts that no side was trained on.
        all: Mean scores of (baseline, candidate) over all prompts, in [0, 1].
        clean: Mean scores of (baseline, candidate) over the kept prompts; ``None`` if there are none.
    """

    metric: str
    n: int
    kept: int
    all: tuple[float, float]
    clean: tuple[float, float] | None


def with_and_without(rows: Sequence[Row], flagged: Collection[str]) -> tuple[BothScores, ...]:
    """Return the mean scores of each metric over all prompts, and without the flagged ones.

    Args:
        rows: At least one row, all with the same metrics.
        flagged: Ids of leaked examples, such as the keys of the result of ``leaked``.
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
    """Describe the result of the leakage check.

    Args:
        uri: URI of the version.
        leaks: Example id → leak; ``None`` if the version's training data are unknown.
        total: Number of examples in the suite.
    """
    if leaks is None:
        return (
            f"leakage not checked: the training data of {uri} are unknown and may contain the suite"
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
