"""Exclusion of leaked prompts: they are asked and shown, but are not part of the verdict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from llmops.compare.leakage.effect import leakage_note, with_and_without
from llmops.compare.leakage.trained_on import TrainedOn
from llmops.errors import DataError
from llmops.records import Example, Row, Suite

FEWEST = 2
"""Number of prompts that must be left for any comparison."""


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


def exclude_trained(checks: Iterable[TrainedOn], suite: Suite, *, fewest: int = 0) -> Exclusion:
    """Set aside the prompts that any side was trained on, the baseline included.

    Args:
        checks: Results of ``check_sides``, one for each version.
        suite: Prompts to ask.
        fewest: Number of prompts that a verdict needs, such as ``gate.min_prompts``.

    Raises:
        DataError: Prompts are set aside, and fewer than two are left, or fewer than ``fewest``.
    """
    trained: set[str] = set()
    notes, leaked = [], []
    for check in checks:
        trained |= set(check.leaks or {})
        if check.leaks is None or check.leaks:
            notes.append(leakage_note(check.uri, check.leaks, len(suite.examples)))
        if check.leaks:
            leaked.append(notes[-1])
    fresh = tuple(example for example in suite.examples if example.id not in trained)
    if trained:
        # A suite that is too small without leaks, too, is judged, and decides nothing.
        needed = max(FEWEST, fewest) if len(suite.examples) >= fewest else FEWEST
        if len(fresh) < needed:
            raise DataError(
                f"suite {suite.path or suite.name}: {'; '.join(leaked)}; too few prompts are left"
                f" to compare: {len(fresh)}, needed: {needed}",
                next_command="use held-out prompts, such as the test split of the recipe",
            )
        if fewest:
            notes.append(f"{len(fresh)} of {len(suite.examples)} prompts count for the verdict")
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
