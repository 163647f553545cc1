"""Prompts that a side was trained on: asked and shown, and no part of the verdict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from llmops.compare.leakage.effect import leakage_note, with_and_without
from llmops.compare.leakage.trained_on import TrainedOn
from llmops.errors import DataError
from llmops.records import Example, Row, Suite

FEWEST = 2
"""Prompts that must be left."""


@dataclass(frozen=True)
class Exclusion:
    """A suite, divided by whether any side was trained on the prompt.

    Attributes:
        fresh: Prompts that no side was trained on.
        trained: The other prompts.
        notes: What was checked, and what was found.
    """

    fresh: tuple[Example, ...]
    trained: tuple[Example, ...]
    notes: tuple[str, ...]


def exclude_trained(checks: Iterable[TrainedOn], suite: Suite) -> Exclusion:
    """Set aside what any side was trained on: a baseline that knows the answers is unfair too.

    Args:
        checks: What each side was trained on, from ``check_sides``.
        suite: Prompts to ask.

    Raises:
        DataError: Hardly anything is left.
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
            f"suite {suite.path or suite.name}: {notes[0]}; nothing is left to compare on",
            next_command="choose prompts that were held out, such as the test split of the recipe",
        )
    rest = tuple(example for example in suite.examples if example.id in trained)
    return Exclusion(fresh, rest, tuple(notes))


def both_scores_notes(rows: Sequence[Row], trained: Sequence[Row]) -> tuple[str, ...]:
    """Describe the first metric with and without the prompts that were trained on."""
    if not trained:
        return ()
    first = with_and_without([*rows, *trained], {row.example.id for row in trained})[0]
    clean = first.clean or first.all
    return (
        f"{first.metric} without them {clean[0]:.3f} and {clean[1]:.3f} (baseline, candidate),"
        f" with them {first.all[0]:.3f} and {first.all[1]:.3f}",
    )
