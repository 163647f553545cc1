"""Which rows are computed together, and how they are laid side by side."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

TOKENS = 32_768
"""Padded tokens in a batch: a row of a 1B model keeps some 100 kB for each in memory."""


def pack(
    prompts: Sequence[int], answers: Sequence[int], *, rows: int, width: int, tokens: int = TOKENS
) -> list[list[int]]:
    """Puts rows of similar length into batches, short ones first.

    Neighbours of the same lengths stay together where a batch can hold them: one prompt that several
    sides are asked. A batch then has as many rows of each side, which is computed faster.

    Args:
        prompts: Tokens of each row's prompt.
        answers: Tokens its answer may have.
        rows: Rows in a batch at most.
        width: Tokens of a padded row at most: longest prompt and longest answer together.
        tokens: Padded tokens in a batch at most. A row that alone has more gets its own batch.

    Returns:
        Indices of the rows of each batch; each row is in one.
    """
    batches: list[list[int]] = []
    longest = (0, 0)
    for unit in _units(list(zip(prompts, answers, strict=True)), rows, tokens):
        own = (prompts[unit[0]], answers[unit[0]])
        wider = (max(longest[0], own[0]), max(longest[1], own[1]))
        size = len(unit) + (len(batches[-1]) if batches else rows)
        if size <= rows and sum(wider) <= width and size * sum(wider) <= tokens:
            batches[-1].extend(unit)
            longest = wider
        else:
            batches.append(unit)
            longest = own
    return batches


def _units(lengths: Sequence[tuple[int, int]], rows: int, tokens: int) -> list[list[int]]:
    """Neighbours of the same lengths, as many as a batch can hold; short ones first."""
    found = []
    for length, members in groupby(range(len(lengths)), key=lengths.__getitem__):
        most = max(1, min(rows, tokens // max(1, sum(length))))
        unit = list(members)
        found += [unit[i : i + most] for i in range(0, len(unit), most)]
    return sorted(found, key=lambda unit: sum(lengths[unit[0]]))


def padded(rows: Sequence[Sequence[int]], pad: int, *, left: bool, device: Any) -> dict[str, Any]:
    """Token ids and attention mask, both (B, T); the padding is masked out.

    Args:
        rows: Token ids.
        pad: Token that fills up.
        left: Pad before the row (to continue it) or after it (to score it).
        device: Where the model reads its ids.
    """
    import torch

    width = max(map(len, rows))
    ids = torch.full((len(rows), width), pad)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for i, row in enumerate(rows):
        place = slice(width - len(row), width) if left else slice(0, len(row))
        ids[i, place] = torch.tensor(row)
        mask[i, place] = 1
    return {"input_ids": ids.to(device), "attention_mask": mask.to(device)}
