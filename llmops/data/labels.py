"""Answers that many rows share: labels and canned replies, which are meant to be learnt.

They are no leak, so a row of its own may have the same answer in every split; and a label that is only
in the test split could not be learnt.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from llmops.data.groups import place, same

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

    Rows of one group, which have the same prompt but for case or punctuation, stay together; the
    rarest of their labels counts.

    The groups of a label are spread evenly over (0, 1], in an order that lasts when rows are added (see
    ``groups.lasting``) and from a random start; each part takes an interval of it: systematic
    sampling with proportional allocation (Cochran 1977, Sampling Techniques, chapter 8). The last
    group of each label is in ``train``.

    Args:
        rows: Examples with ``group``, nearly all in one of their own.
        fractions: Part → its share, in the order in which they are taken; ``train`` gets the rest.
        seed: Seed of the order within a label, and of its start.

    Returns:
        Part → its rows, in the order of ``rows``.
    """
    by_label: dict[str, list[str]] = defaultdict(list)
    text: dict[str, str] = {}
    for row in rows:
        text.setdefault(row["group"], same(row))
    for group, label in _labelled(rows).items():
        by_label[label].append(group)
    places: dict[str, float] = defaultdict(lambda: 1.0)
    for label, groups in by_label.items():
        start = int(place(label, seed)[:DIGITS], 16) / 16**DIGITS
        groups.sort(key=lambda group: place(text[group], seed))
        for position, group in enumerate(groups[:-1]):
            places[group] = (position + start) / len(groups)
    parts: dict[str, list[Row]] = {part: [] for part in ("train", *fractions)}
    for row in rows:
        parts[_part(places[row["group"]], fractions)].append(row)
    return parts


def _labelled(rows: Sequence[Row]) -> dict[str, str]:
    """Return group → its rarest label, so that a label of a group alone is not lost."""
    count = Counter(row["completion"] for row in rows)
    found: dict[str, str] = {}
    for row in rows:
        label = row["completion"]
        if count[label] < count[found.setdefault(row["group"], label)]:
            found[row["group"]] = label
    return found


def _part(at: float, fractions: dict[str, float]) -> str:
    end = 0.0
    for part, share in fractions.items():
        end += share
        if at < end:
            return part
    return "train"
