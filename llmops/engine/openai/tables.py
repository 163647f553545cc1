"""Read the rows of a DataFrame as requests, as MLflow passes several at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from llmops.engine.openai.errors import RequestError
from llmops.engine.openai.parameters import INTEGERS, NAMES, UNSUPPORTED
from llmops.engine.openai.requests import TEXTS

COLUMNS = frozenset({*TEXTS, *NAMES, *UNSUPPORTED})
"""Names of columns that belong to a request; all others are ignored."""


def rows(frame: Any) -> list[dict[str, Any]]:
    """Return the rows of a DataFrame as requests, without their empty cells."""
    return [
        {name: cell(name, value) for name, value in row.items() if not is_empty(value)}
        for row in frame.to_dict(orient="records")
    ]


def cell(column: str, value: Any) -> Any:
    """Return a cell as JSON has it: 16 where pandas made 16.0 of it because of a missing cell."""
    value = plain(value)
    if column in INTEGERS and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def plain(value: Any) -> Any:
    """Convert the numpy arrays and numbers that MLflow and pandas make of JSON to Python values.

    Raises:
        RequestError: The value is nested more deeply than Python can follow.
    """
    try:
        return _converted(value)
    except RecursionError:
        raise RequestError("the request is nested too deeply") from None


def _converted(value: Any) -> Any:
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, Mapping):
        return {key: _converted(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_converted(item) for item in value]
    return value


def is_empty(value: Any) -> bool:
    """Return whether a cell is missing; pandas has several values for that."""
    import pandas as pd

    if value is None or value is pd.NA or value is pd.NaT:
        return True
    return isinstance(value, float) and math.isnan(value)
