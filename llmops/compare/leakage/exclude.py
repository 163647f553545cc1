"""Exclusion of leaked prompts: they are asked and shown, but are not part of the verdict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from llmops.compare.leakage.effect import leakage_note, with_and_without
from llmops.compare.leakage.trained_on import TrainedOn
from llmops.errors import DataError
from llmops.records import Example, Row, Suite

FEWEST = 2
"""Minimum number of prompts that must be left."""


@dataclass(frozen=True)
class Exclusion:
    """A suite, divided by whether any side was trained on the prompt.

    Attributes:
        fresh: Prompts that no side was trained on.
        trained: The other prompts.
        notes: Results of the leakage checks, for a reader.
    """

    fresh: tuple[Example, ...]
    trained: tuple[Example, ...]
    notes: tuple[str, ...]


def exclude_trained(checks: Iterable[TrainedOn], suite: Suite) -> Exclusion:
    """Set aside the prompts that any side was trained on, the baseline included.

    Args:
        checks: Results of ``check_sides``, one for each version.
        suite: Prompts to ask.

    Raises:
        DataError: Fewer than two prompts are left.
    """
    trained: set[str] = set()
    notes = []
    for check in checks:
        trained |= set(check.leaks or {})
        if check.leaks is None or check.leaks:
            notes.append(leakage_note(check.uri, check.leaks, len(suite.examples)))
    fresh = tuple(example for example in suite.examples if example.id not in trained)
    if trained and len(fresh) < FEWEST:
        raise DataError(
            f"suite {suite.path or suite.name}: {notes[0]}; too few prompts are left to compare",
            next_command="use held-out prompts, such as the test split of the recipe",
        )
    rest = tuple(example for example in suite.examples if example.id in trained)
    return Exclusion(fresh, rest, tuple(notes))


def both_scores_notes(rows: Sequence[Row], trained: Sequence[Row]) -> tuple[str, ...]:
    """Describe the first metric with and without the prompts that a side was trained on."""
    if not trained:
        return ()
    first = with_and_without([*rows, *trained], {row.example.id for row in trained})[0]
    clean = first.clean or first.all
    return (
        f"{first.metric} without them: {clean[0]:.3f} and {clean[1]:.3f} (baseline, candidate);"
        f" with them: {first.all[0]:.3f} and {first.all[1]:.3f}",
    )
