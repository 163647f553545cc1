"""Groups of rows that must not be torn apart, and the splits that keep them whole."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from scipy.cluster.hierarchy import DisjointSet

from llmops.files import digest
from llmops.texts.normalize import words

Row = dict[str, Any]
Groups = dict[str, list[Row]]
LONG = 40
"""Characters from which a shared answer of free text joins two groups: a copy of the text would be
learnt in one split and asked for in the other. A shorter one is a word or a phrase."""
LARGE_SHARE = 0.25
"""Share of the test split above which a group counts as large, and is dealt last: in the test split
it would leave too little room for other, independent groups."""


def joined(rows: Sequence[Row], *, answers_from: int | None = LONG) -> list[Row]:
    """Join groups that share a text, so that no copy of it is in another split.

    Prompts are the same if they have the same words.

    Args:
        rows: Examples with ``group``.
        answers_from: Characters from which a shared answer joins two groups; ``None`` for none, as
            where answers are labels.

    Returns:
        The rows; joined groups have the name of the earlier text's group.
    """
    sets = DisjointSet(row["group"] for row in rows)
    name = {group: group for group in sets}
    owner: dict[tuple[str, str], str] = {}
    for row in rows:
        for kind, text in (("asked", same(row)), ("answer", row["completion"])):
            if kind == "answer" and (answers_from is None or len(text) < answers_from):
                continue
            first = owner.setdefault((kind, text), row["group"])
            kept = name[sets[first]]
            sets.merge(first, row["group"])
            name[sets[first]] = kept  # the name of the earlier text's group, whichever is larger
    return [{**row, "group": name[sets[row["group"]]]} for row in rows]


def same(row: Row) -> str:
    """Return what is asked without case, punctuation and layout: the check for leakage ignores them."""
    return " ".join(words(asked(row)))


def asked(row: Row) -> str:
    """Return the text of what is asked, the whole conversation if there is one."""
    if "messages" not in row:
        return str(row["prompt"])
    return "\n".join(f"{turn['role']}: {turn['content']}" for turn in row["messages"])


def shuffled(groups: Groups, seed: int) -> list[str]:
    """Return the names of groups in an order that the seed decides."""
    names = sorted(groups)
    random.Random(seed).shuffle(names)
    return names


def lasting(groups: Groups, seed: int, *, named: bool) -> list[str]:
    """Return the names of groups in an order that lasts when rows are added.

    Each group has a place of its own, which depends on nothing but its text. So a file that grows
    keeps nearly all of its rows in their splits: what a champion was trained on does not become the
    test of its successor.

    Args:
        groups: Name → rows.
        seed: Seed of the places.
        named: Whether the names are the user's, and not made from the rows' numbers.
    """

    def place_of(name: str) -> str:
        return place(name if named else asked(groups[name][0]), seed)

    return sorted(groups, key=place_of)


def place(text: str, seed: int) -> str:
    """Return the place of a text among others, as hexadecimal digits: random, and always the same."""
    return digest.of_bytes(f"{seed}\0{text}".encode())


def dealt(
    rows: Sequence[Row], fractions: dict[str, float], order: Callable[[Groups], list[str]]
) -> dict[str, list[Row]]:
    """Deal whole groups in an order, large ones last, to the first part with room, else to train.

    Args:
        rows: Examples with ``group``.
        fractions: Part → its share, in the order in which they are filled; ``train`` gets the rest.
        order: The order of the groups' names: ``shuffled`` or ``lasting``.

    Returns:
        Part → its rows.
    """
    groups: Groups = defaultdict(list)
    for row in rows:
        groups[row["group"]].append(row)
    names = order(groups)
    share = next(iter(fractions.values()))
    names.sort(key=lambda name: len(groups[name]) > LARGE_SHARE * share * len(rows))
    wanted = {part: round(share * len(rows)) for part, share in fractions.items()}
    parts: dict[str, list[Row]] = {part: [] for part in ("train", *fractions)}
    for name in names:
        fits = [
            part for part, size in wanted.items() if len(parts[part]) + len(groups[name]) <= size
        ]
        parts[fits[0] if fits else "train"] += groups[name]
    return parts
