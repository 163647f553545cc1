"""Parsing of one row of a suite: conversation, expected answer, cluster, slices."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from llmops.compare.suite.genai import SLICE
from llmops.engine.openai.errors import RequestError, shown
from llmops.engine.openai.messages import WHOLE, read_conversation
from llmops.engine.openai.turns import broken
from llmops.errors import DataError
from llmops.files import digest
from llmops.records import Example, Message

SHAPE = "a list of {role, content} that ends with a turn of the user"


def read_example(where: str, row: Mapping[str, Any]) -> Example:
    """Return a row as an example; unknown columns are ignored.

    Args:
        where: Place of the row, for errors.
        row: Column → cell. ``None``, NaN and blank text are empty cells.

    Raises:
        DataError: There is no conversation, or a cell has the wrong type.
    """
    row = {str(key): value for key, value in row.items() if not _empty(value)}
    for column, value in row.items():
        _require_whole(f"{where}: column {column!a}", column)
        _require_whole(f"{where}: `{column}`", value)
    messages = _messages(where, row)
    expected = _text(where, row, _one_of(where, row, "expected", "completion"))
    made = digest.of_record([messages, expected])[:12]
    identity = _label(where, row, "id") or made
    return Example(
        id=identity,
        messages=tuple(messages),
        expected=expected,
        cluster=_label(where, row, _one_of(where, row, "cluster", "group")) or identity,
        slices=_slices(where, row),
    )


def _empty(value: object) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, float) and math.isnan(value))


def _require_whole(where: str, value: object) -> None:
    """Refuse half of a surrogate pair, which JSON allows, but no file, store or model accepts."""
    if isinstance(value, str) and (wrong := broken(value)):
        raise DataError(f"{where}: {wrong}", next_command=WHOLE)


def _one_of(where: str, row: Mapping[str, Any], name: str, other: str) -> str:
    """Return which of two names for a column the row uses."""
    if name in row and other in row:
        raise DataError(f"{where}: has both `{name}` and `{other}`, which mean the same; keep one")
    return other if other in row else name


def _text(where: str, row: Mapping[str, Any], column: str) -> str | None:
    value = row.get(column)
    if value is not None and not isinstance(value, str):
        raise DataError(
            f"{where}: `{column}` must be text, received {type(value).__name__} {shown(value)}",
            next_command="write the value as text, in quotes",
        )
    return value


def _label(where: str, row: Mapping[str, Any], column: str) -> str:
    """Return a cell that holds a name, as text; empty if the cell is."""
    value = row.get(column, "")
    if not isinstance(value, (str, int, float)):
        raise DataError(
            f"{where}: `{column}` must be text or a number,"
            f" received {type(value).__name__} {shown(value)}"
        )
    return str(value)


def _slices(where: str, row: Mapping[str, Any]) -> dict[str, str]:
    columns = sorted(column for column in row if column.startswith(SLICE))
    if SLICE in columns:
        raise DataError(f"{where}: column `{SLICE}` has no slice name; write `{SLICE}NAME`")
    return {column.removeprefix(SLICE): _label(where, row, column) for column in columns}


def _messages(where: str, row: Mapping[str, Any]) -> list[Message]:
    if "messages" in row and "prompt" in row:
        raise DataError(f"{where}: has both `messages` and `prompt`; keep one")
    if "messages" in row:
        return _conversation(f"{where}: `messages`", row["messages"])
    prompt = _text(where, row, "prompt")
    if prompt is None:
        columns = ", ".join(row) or "only empty cells"
        raise DataError(
            f"{where}: expected `prompt` or `messages`, both missing or empty; the row has {columns}"
        )
    return [{"role": "user", "content": prompt}]


def _conversation(where: str, value: Any) -> list[Message]:
    """Return the turns of a conversation that ends with one of the user."""
    try:
        turns = read_conversation(value, where, SHAPE)
    except RequestError as error:
        raise DataError(error.message, next_command=error.next_command) from None
    if turns[-1]["role"] != "user":
        raise DataError(f"{where}: expected {SHAPE}, the last turn has role {turns[-1]['role']!r}")
    return turns
