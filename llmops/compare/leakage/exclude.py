"""Prompts that a side was trained on: asked and shown, and no part of the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llmops.compare.leakage.detect import leaked, training_texts
from llmops.compare.leakage.effect import leakage_note, with_and_without
from llmops.errors import DataError
from llmops.records import Example, ModelFiles, Row, Side, Suite

FEWEST = 2
"""Prompts that must be left."""


@dataclass(frozen=True)
class Split:
    """A suite without what was trained on.

    Attributes:
        fresh: What no side was trained on.
        trained: The rest.
        notes: What was checked, and what was found.
    """

    fresh: tuple[Example, ...]
    trained: tuple[Example, ...]
    notes: tuple[str, ...]


def split(sides: Sequence[Side], suite: Suite) -> Split:
    """Sets aside what any side was trained on: a baseline that knows the answers is unfair too.

    Raises:
        DataError: Hardly anything is left.
        StoreError: The store refuses or does not answer.
    """
    flagged: set[str] = set()
    notes = []
    versions = {
        side.digest: side for side in sides if isinstance(side, ModelFiles) and side.adapter_digest
    }
    for side in versions.values():
        texts = training_texts(side)
        found = None if texts is None else leaked(texts, suite.examples)
        flagged |= set(found or {})
        if found is None or found:
            notes.append(leakage_note(side.uri, found, len(suite.examples)))
    fresh = tuple(one for one in suite.examples if one.id not in flagged)
    if flagged and len(fresh) < FEWEST:
        raise DataError(
            f"suite {suite.path or suite.name}: {notes[0]}; nothing is left to compare on",
            next_command="choose prompts that were held out, such as the test split of the recipe",
        )
    rest = tuple(one for one in suite.examples if one.id in flagged)
    return Split(fresh, rest, tuple(notes))


def both_scores(rows: Sequence[Row], trained: Sequence[Row]) -> tuple[str, ...]:
    """The first metric with and without the prompts that were trained on."""
    if not trained:
        return ()
    first = with_and_without([*rows, *trained], {row.example.id for row in trained})[0]
    clean = first.clean or first.all
    return (
        f"{first.metric} without them {clean[0]:.3f} and {clean[1]:.3f} (baseline, candidate),"
        f" with them {first.all[0]:.3f} and {first.all[1]:.3f}",
    )
