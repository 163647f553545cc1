"""Decide which rows form a batch, and pad them to equal length."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

TOKENS = 32_768
"""Default maximum of padded tokens in a batch; each takes about 100 kB with a 1B model."""
ENOUGH, WASTE = 16, 0.15
"""A batch of 16 rows or more takes no further rows if over 15% of its tokens would be padding."""


def pack(
    prompts: Sequence[int], answers: Sequence[int], *, rows: int, width: int, tokens: int = TOKENS
) -> list[list[int]]:
    """Pack rows of similar length into batches, shortest first.

    Adjacent rows of equal lengths stay together if a batch can hold them, such as one prompt to
    several sides. A batch then has equally many rows of each side, which is faster.

    Args:
        prompts: Tokens of each row's prompt.
        answers: Maximum tokens of each row's answer.
        rows: Maximum number of rows in a batch.
        width: Maximum tokens of a padded row: longest prompt plus longest answer.
        tokens: Maximum padded tokens in a batch. A row that exceeds it alone gets its own batch.

    Returns:
        The indices of the rows of each batch; each row is in exactly one.
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
    """Return the tokens of a padded row: the longest prompt plus the longest answer."""
    return sum(max(part, default=0) for part in zip(*lengths, strict=True))


def _units(lengths: Sequence[tuple[int, int]], rows: int, tokens: int) -> list[list[int]]:
    """Group adjacent rows of equal lengths, as many as a batch can hold; shortest first."""
    units = []
    for length, members in groupby(range(len(lengths)), key=lengths.__getitem__):
        most = max(1, min(rows, tokens // max(1, sum(length))))
        same = list(members)
        units += [same[i : i + most] for i in range(0, len(same), most)]
    return sorted(units, key=lambda unit: sum(lengths[unit[0]]))


def padded(rows: Sequence[Sequence[int]], pad: int, *, left: bool, device: Any) -> dict[str, Any]:
    """Pad rows of token ids to equal length.

    Args:
        rows: Token ids of B rows.
        pad: Padding token.
        left: Pad before the row, to continue it, instead of after it, to score it.
        device: Device that holds the input token ids.

    Returns:
        ``input_ids`` and ``attention_mask``, both (B, T); the padding is masked out.
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
