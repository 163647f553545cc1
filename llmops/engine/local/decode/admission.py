"""Decide which waiting rows begin next, so that memory suffices and running rows do not wait long."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmops.engine.local.adapters import unwrapped
from llmops.engine.local.decode.memory import cache_tokens
from llmops.engine.local.decode.packing import TOKENS
from llmops.engine.local.decode.running import RunningRows
from llmops.engine.local.decode.ticket import Ticket

Groups = Mapping[Hashable, RunningRows[Ticket]]
"""The running rows; those of different groups cannot be decoded together."""
SHORT, LONGER = 1024, 4
"""Prompts of up to 1024 tokens may share a batch, and above that those within a factor of 4: each row
is padded to the longest."""
SPARE = 32
"""Tokens per row that must fit beyond the prompts when a row begins."""


@dataclass
class Limits:
    """What is computed together at most.

    Attributes:
        rows: Rows that are decoded.
        tokens: Padded tokens in the KV caches; lowered when memory runs out.
        prompt: Padded tokens of the prompts that begin together, and of a part of a longer prompt.
    """

    rows: int
    tokens: int
    prompt: int

    @classmethod
    def of(cls, model: Any, device: Any, rows: int | None = None) -> Limits:
        """Return the limits for a model in memory.

        Args:
            model: A model from transformers or PEFT.
            device: Its device.
            rows: Rows that are decoded at most; by default 32 on a CPU and 256 on a GPU.
        """
        config = unwrapped(model).config.get_text_config()
        tokens = cache_tokens(config, device, unwrapped(model).dtype.itemsize, TOKENS)
        on_gpu = device.type != "cpu"
        return cls(rows or (256 if on_gpu else 32), tokens, 16_384 if on_gpu else 512)


def size_class(tokens: int) -> int:
    """Return the class of a prompt's length; rows of different classes are not padded together."""
    size, most = 0, SHORT
    while tokens > most:
        size, most = size + 1, most * LONGER
    return size


def next_rows(waiting: Sequence[Ticket], groups: Groups, limits: Limits) -> list[Ticket]:
    """Return the waiting rows that begin next: the first, and others of its group.

    Args:
        waiting: Rows in the order in which they came.
        groups: The running rows.
        limits: What may be computed together.

    Returns:
        Rows of one group; none if the first must wait until others end.
    """
    if not waiting:
        return []
    sizes = {key: _size(batch) for key, batch in groups.items()}
    group = waiting[0].group
    same, width = sizes.pop(group, (0, 0))
    running = sum(rows for rows, _ in sizes.values())
    used = sum(rows * width for rows, width in sizes.values())
    chosen: list[Ticket] = []
    longest = 0
    for ticket in waiting:
        if ticket.group != group:
            continue
        longest = max(longest, ticket.length)
        together = len(chosen) + 1
        cost = used + (same + together) * (max(width, longest) + SPARE)
        if running + same + together > limits.rows or (
            cost > limits.tokens and running + same + len(chosen)
        ):
            break
        if chosen and together * longest > limits.prompt:
            break
        chosen.append(ticket)
    return chosen


def padded_size(groups: Groups, more: int = 0) -> int:
    """Return the padded tokens in all KV caches, with this many more in each row."""
    return sum(rows * (width + more) for rows, width in map(_size, groups.values()))


def _size(batch: RunningRows[Ticket]) -> tuple[int, int]:
    return sum(row.reason is None for row in batch.rows), batch.width
