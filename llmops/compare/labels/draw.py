"""The random sample of prompts that humans label, each with its answers in a blinded order.

Sample and order follow from digests of suite and sides, so nobody picks the prompts, and whoever
runs the comparison again gets the same ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llmops.errors import DataError, UsageError
from llmops.files import digest
from llmops.records import Comparison, Row, Side
from llmops.stats.ppi import powered_mean

KEY = 16
"""Hexadecimal digits of a key. A letter precedes them: spreadsheets rewrite what reads as a number."""


@dataclass(frozen=True)
class Drawn:
    """A prompt of the sample.

    Attributes:
        row: The prompt with both answers.
        position: Place in the sample, from 1.
        size: Number of prompts in the sample.
        swapped: Whether the candidate's answer is answer one.
        key: Text that identifies sample, sides, prompt and answers.
    """

    row: Row
    position: int
    size: int
    swapped: bool
    key: str

    @property
    def answers(self) -> tuple[str, str]:
        """Answers one and two, in the order in which humans see them."""
        texts = self.row.baseline.text, self.row.candidate.text
        return texts[::-1] if self.swapped else texts


def draw(comparison: Comparison, size: int) -> tuple[Drawn, ...]:
    """Draw prompts at random, without replacement, in random order.

    Args:
        comparison: A comparison that asked every prompt.
        size: Number of prompts to draw.

    Raises:
        UsageError: The comparison stopped early.
        DataError: The sample would be too small, or leave fewer than two prompts to the scorer, or
            lie in too few clusters for a valid interval.
    """
    if len(comparison.rows) < comparison.available:
        raise UsageError(
            f"human labels need the answers to every prompt; the comparison stopped after"
            f" {len(comparison.rows)} of {comparison.available}",
            next_command="rerun with --method fixed",
        )
    counting = [row for row in comparison.rows if not row.failed]
    drawn = sorted(counting, key=lambda row: _digest(comparison, "draw", row))[:size]
    _require_valid(drawn, counting)
    return tuple(_drawn(comparison, row, i, size) for i, row in enumerate(drawn, 1))


def _digest(comparison: Comparison, purpose: str, row: Row, *more: object) -> str:
    sides = [_identity(side) for side in (comparison.baseline, comparison.candidate)]
    return digest.of_record([comparison.suite_digest, sides, purpose, row.example.id, *more])


def _identity(side: Side) -> list[str]:
    """Return digests of adapter and base: the same adapter on another base is another side."""
    return [side.digest, side.base.digest if side.base else ""]


def _drawn(comparison: Comparison, row: Row, position: int, size: int) -> Drawn:
    swapped = int(_digest(comparison, "order", row), 16) % 2 == 1
    texts = row.baseline.text, row.candidate.text
    key = "k" + _digest(comparison, "key", row, position, size, *texts)[:KEY]
    return Drawn(row, position, size, swapped, key)


def _require_valid(drawn: Sequence[Row], counting: Sequence[Row]) -> None:
    """Refuse, before anyone labels, a sample whose labels could not be used."""
    chosen = {row.example.id for row in drawn}
    rest = [row for row in counting if row.example.id not in chosen]
    if len(rest) < 2:
        raise DataError(
            f"a sample of {len(drawn)} prompts for human labels: the suite has {len(counting)} that"
            " count, and at least 2 must be left to the scorer",
            next_command=f"draw at most {max(0, len(counting) - 2)}, or compare on a larger suite",
        )
    clusters = [row.example.cluster for row in drawn], [row.example.cluster for row in rest]
    labels = np.zeros(len(drawn))
    powered_mean(labels, labels, np.zeros(len(rest)), clusters=clusters)
