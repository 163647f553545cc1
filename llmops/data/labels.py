"""Answers that many rows share: labels and canned replies, which are meant to be learnt.

They are no leak, so a row of its own may have the same answer in every split; and a label that is only
in the test split could not be learnt.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from llmops.data.groups import asked, place

Row = dict[str, Any]
SHARED = 2
"""Mean number of rows with the same answer from which the answers are labels."""
DIGITS = 13
"""Hexadecimal digits that a float holds exactly."""


def labels(rows: Sequence[Row]) -> frozenset[str] | None:
    """Return the labels; ``None`` if the answers are free text.

    Args:
        rows: Examples without duplicate prompts.
    """
    distinct = frozenset(row["completion"] for row in rows)
    return distinct if len(rows) >= SHARED * len(distinct) else None


def stratified(rows: Sequence[Row], fractions: dict[str, float], seed: int) -> dict[str, list[Row]]:
    """Split rows so that every part has its share of every label, and ``train`` has every label.

    The rows of a label are spread evenly over (0, 1], in an order that lasts when rows are added (see
    ``groups.lasting``) and from a random start; each part takes an interval of it: systematic
    sampling with proportional allocation (Cochran 1977, Sampling Techniques, chapter 8). The last
    row of each label is in ``train``.

    Args:
        rows: Examples.
        fractions: Part → its share, in the order in which they are taken; ``train`` gets the rest.
        seed: Seed of the order within a label, and of its start.

    Returns:
        Part → its rows, in the order of ``rows``.
    """
    by_label: dict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        by_label[row["completion"]].append(number)
    places = [1.0] * len(rows)
    for label, numbers in by_label.items():
        start = int(place(label, seed)[:DIGITS], 16) / 16**DIGITS
        numbers.sort(key=lambda number: place(asked(rows[number]), seed))
        for position, number in enumerate(numbers[:-1]):
            places[number] = (position + start) / len(numbers)
    parts: dict[str, list[Row]] = {part: [] for part in ("train", *fractions)}
    for number, row in enumerate(rows):
        parts[_part(places[number], fractions)].append(row)
    return parts


def _part(at: float, fractions: dict[str, float]) -> str:
    end = 0.0
    for part, share in fractions.items():
        end += share
        if at < end:
            return part
    return "train"
