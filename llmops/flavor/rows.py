"""The input of ``predict``: chat requests, prompts, conversations, DataFrames.

Each row becomes a request, which ``engine.openai`` reads. A row's parameters override those of the
call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from llmops.engine.openai import tables
from llmops.engine.openai.errors import RequestError, shown
from llmops.engine.openai.parameters import known
from llmops.engine.openai.requests import TEXTS, Request, read_chat, read_prompt
from llmops.errors import UsageError
from llmops.records import Message

ChatRequest = Request[list[Message]]


def read(data: Any, params: Mapping[str, Any] | None = None) -> list[ChatRequest]:
    """Read the rows of a call.

    Args:
        data: A DataFrame with a column ``messages`` or ``prompt``; a list of prompts, of chat
            requests or of conversations; one chat request; one prompt.
        params: Parameters for all rows.

    Raises:
        UsageError: The rows hold neither messages nor prompts, or a parameter is unknown or out of
            range; the message names the row.
    """
    requests = _read(data, params, {})
    if any(request.stream for request in requests):
        raise UsageError("stream: predict returns whole answers; use predict_stream")
    return requests


def read_one(data: Any, params: Mapping[str, Any] | None = None) -> ChatRequest:
    """Read the only row of a call whose answer is streamed; see ``read``.

    Raises:
        UsageError: There is not exactly one row, or see ``read``.
    """
    requests = _read(data, params, {"stream": True})
    if len(requests) != 1:
        raise UsageError(f"predict_stream: answers one row, received {len(requests)}; use predict")
    return requests[0]


def _read(data: Any, params: Mapping[str, Any] | None, fixed: dict[str, Any]) -> list[ChatRequest]:
    try:
        common = known(tables.plain(params or {}))
    except RequestError as error:
        raise UsageError(f"params: {error.message}") from error
    requests = []
    for i, row in enumerate(_rows(data)):
        try:
            requests.append(read_chat(_chat(row) | fixed, common))
        except RequestError as error:
            raise UsageError(f"row {i}: {error.message}") from error
    return requests


def _rows(data: Any) -> list[Any]:
    import pandas as pd

    if isinstance(data, pd.DataFrame):
        return _table(data)
    data = tables.plain(data)
    if isinstance(data, (Mapping, str)) or _is_conversation(data):
        return [data]
    if not isinstance(data, Iterable):
        raise UsageError(f"needs prompts or chat requests, received {shown(data)}")
    return list(data)


def _table(frame: Any) -> list[Any]:
    if list(frame.columns) == [0]:
        return tables.plain(frame[0])  # type: ignore[no-any-return]  # how MLflow passes prompts on
    if not set(TEXTS) & set(frame.columns):
        raise UsageError(
            f"the DataFrame needs a column `messages` or `prompt`, received {list(frame.columns)!r:.120}"
        )
    return tables.rows(frame[[name for name in frame.columns if name in tables.COLUMNS]])


def _chat(row: Any) -> dict[str, Any]:
    """Return a row as a chat request."""
    row = tables.plain(row)
    if isinstance(row, str):
        row = {"prompt": row}
    elif isinstance(row, list):
        row = {"messages": row}
    if not isinstance(row, Mapping):
        raise RequestError(f"needs `messages` or `prompt`, received {shown(row)}")
    if row.get("prompt") is None or row.get("messages") is not None:
        return dict(row)
    user = {"role": "user", "content": read_prompt(row["prompt"])}
    return {**row, "prompt": None, "messages": [user]}


def _is_conversation(value: Any) -> bool:
    """Return whether a list is one conversation, and not a list of rows."""
    return (
        isinstance(value, list)
        and len(value) > 0
        and all(isinstance(item, Mapping) and "role" in item for item in value)
    )
