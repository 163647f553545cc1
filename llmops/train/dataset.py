"""Training examples in TRL's format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llmops.errors import DataError
from llmops.files import jsonl
from llmops.models.foreign import templates
from llmops.progress import say

Row = Mapping[str, Any]


def conversations(path: Path, tokenizer: Any, max_length: int, *, drop: bool = False) -> Any:
    """Read a split as prompts and completions, so that TRL computes the loss on completions only.

    Args:
        path: JSON lines with ``id``, ``prompt`` or ``messages``, and ``completion``.
        tokenizer: The base's tokenizer, with a chat template.
        max_length: Maximum tokens of one example, chat template included.
        drop: Whether longer examples are left out, and counted in a message, instead of refused.

    Returns:
        A ``datasets.Dataset`` with the columns ``prompt`` and ``completion``, each a message list.

    Raises:
        DataError: An example is longer than ``max_length``, or all are.
    """
    from datasets import Dataset

    rows = _fitting(jsonl.read(path), tokenizer, max_length, drop=drop, split=path.stem)
    return Dataset.from_list([{"prompt": asked(row), "completion": [_answer(row)]} for row in rows])


def asked(row: Row) -> list[dict[str, str]]:
    """Return the messages that an example answers."""
    if "messages" in row:
        return [{key: turn[key] for key in ("role", "content")} for turn in row["messages"]]
    return [{"role": "user", "content": row["prompt"]}]


def lengths(rows: Sequence[Row], tokenizer: Any) -> list[int]:
    """Return the number of tokens of each example, chat template included."""
    texts = [templates.render(tokenizer, [*asked(row), _answer(row)]) for row in rows]
    return [len(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]]


def _answer(row: Row) -> dict[str, str]:
    return {"role": "assistant", "content": row["completion"]}


def _fitting(
    rows: Sequence[Row], tokenizer: Any, max_length: int, *, drop: bool, split: str
) -> Sequence[Row]:
    """Return the examples that TRL would not silently truncate at the end."""
    counts = lengths(rows, tokenizer)
    kept = [row for row, count in zip(rows, counts, strict=True) if count <= max_length]
    longest = max(range(len(rows)), key=lambda i: counts[i])
    gone = len(rows) - len(kept)
    if drop and kept:
        if gone:
            say(
                f"train: left out {gone:,} of {len(rows):,} {split} examples over {max_length} tokens"
            )
        return kept
    if gone:
        raise DataError(
            f"{gone} example(s) exceed train.max_length={max_length} tokens;"
            f" the longest, {rows[longest]['id']!r}, has {counts[longest]}",
            next_command=f"llmops run RECIPE train.max_length={counts[longest]}, or"
            " train.too_long=drop, which leaves them out",
        )
    return rows
