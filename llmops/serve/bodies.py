"""Chat requests in the DataFrames that MLflow's reader makes of a JSON file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llmops.engine.openai import tables
from llmops.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd


def of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the chat requests in a DataFrame.

    Args:
        frame: A chat request (column ``messages``, one row per message), messages (columns ``role``
            and ``content``), or chat requests (column ``messages`` or ``prompt``, and parameters).

    Raises:
        UsageError: It has another form.
    """
    columns = set(getattr(frame, "columns", ()))
    if {"role", "content"} <= columns:
        rows = frame[["role", "content"]].to_dict(orient="records")
        return [{"messages": [{key: str(value) for key, value in row.items()} for row in rows]}]
    if "messages" in columns and all(isinstance(cell, Mapping) for cell in frame["messages"]):
        return [{"messages": tables.plain(frame["messages"]), **_shared(frame)}]
    if {"messages", "prompt"} & columns:
        return [_chat(row) for row in tables.rows(frame)]
    raise UsageError(
        f"predict: received {', '.join(map(str, sorted(columns))) or type(frame).__name__};"
        " expected a chat request with `messages`, or rows with `prompt`",
        next_command="mlflow deployments help -t llmops",
    )


def _chat(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as a chat request; MLflow's reader turns numeric prompts into numbers."""
    if "prompt" not in row or "messages" in row:
        return row
    prompt = {"role": "user", "content": str(row.pop("prompt"))}
    return {"messages": [prompt], **row}


def _shared(frame: pd.DataFrame) -> dict[str, Any]:
    """Return the parameters of a chat request.

    MLflow's reader spreads a list over the rows and repeats every other value.
    """
    shared = {}
    for name in frame.columns.drop("messages") if len(frame) else ():
        values = [tables.cell(name, value) for value in frame[name]]
        shared[name] = values[0] if all(value == values[0] for value in values) else values
    return {name: value for name, value in shared.items() if not tables.is_empty(value)}
