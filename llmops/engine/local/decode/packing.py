"""Which rows are computed together, and how they are laid side by side."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

TOKENS = 32_768
"""Padded tokens in a batch: a row of a 1B model keeps some 100 kB for each in memory."""
ENOUGH, WASTE = 16, 0.15
"""A batch of so many rows is not made longer if more than this share of it would be padding."""


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
    lengths = list(zip(prompts, answers, strict=True))
    batches: list[list[int]] = []
    for unit in _units(lengths, rows, tokens):
        joined = [*batches[-1], *unit] if batches else []
        size, wide = len(joined), _width([lengths[i] for i in joined])
        fits = 0 < size <= rows and wide <= width and size * wide <= tokens
        padding = size * wide - sum(sum(lengths[i]) for i in joined)
        if fits and (len(batches[-1]) < ENOUGH or padding <= WASTE * size * wide):
            batches[-1] = joined
        else:
            batches.append(unit)
    return batches


def _width(lengths: Sequence[tuple[int, int]]) -> int:
    """Tokens of a padded row: the longest prompt, and the longest answer after it."""
    return sum(max(part, default=0) for part in zip(*lengths, strict=True))


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
