"""Training examples in TRL's format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llmops.errors import DataError
from llmops.files import jsonl
from llmops.models.foreign import templates

Row = Mapping[str, str]


def conversations(path: Path, tokenizer: Any, max_length: int) -> Any:
    """Read a split as prompts and completions, so that TRL computes the loss on completions only.

    Args:
        path: JSON lines with ``id``, ``prompt`` and ``completion``.
        tokenizer: The base's tokenizer, with a chat template.
        max_length: Maximum tokens of one example, chat template included.

    Returns:
        A ``datasets.Dataset`` with the columns ``prompt`` and ``completion``, each a message list.

    Raises:
        DataError: An example is longer than ``max_length``.
    """
    from datasets import Dataset

    rows = jsonl.read(path)
    _refuse_long(rows, tokenizer, max_length)
    return Dataset.from_list(
        [
            {
                "prompt": [{"role": "user", "content": row["prompt"]}],
                "completion": [{"role": "assistant", "content": row["completion"]}],
            }
            for row in rows
        ]
    )


def _refuse_long(rows: Sequence[Row], tokenizer: Any, max_length: int) -> None:
    """Refuse examples that TRL would silently truncate at the end."""
    chats = [
        [
            {"role": "user", "content": row["prompt"]},
            {"role": "assistant", "content": row["completion"]},
        ]
        for row in rows
    ]
    texts = [templates.render(tokenizer, chat) for chat in chats]
    lengths = [len(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]]
    longest = max(range(len(rows)), key=lambda i: lengths[i])
    too_long = sum(length > max_length for length in lengths)
    if too_long:
        raise DataError(
            f"{too_long} example(s) exceed train.max_length={max_length} tokens;"
            f" the longest, {rows[longest]['id']!r}, has {lengths[longest]}",
            next_command=f"llmops run RECIPE train.max_length={lengths[longest]}, or shorten the examples",
        )
