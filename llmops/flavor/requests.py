"""Reading what a caller of ``predict`` hands in: chat requests, prompts, DataFrames.

A row becomes messages, a ``Sampling`` and a number of answers. A row's own parameters win over
those of the call.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from llmops.errors import UsageError
from llmops.records import Message, Sampling

PARAMETERS = ("max_tokens", "temperature", "top_p", "n", "seed", "stop")
UNSUPPORTED = (
    "logprobs",
    "top_logprobs",
    "response_format",
    "tools",
    "tool_choice",
    "functions",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
)
"""OpenAI's parameters that would change the answer, and that this model does not know."""
RANGES = {
    "max_tokens": (1, 1 << 20),
    "temperature": (0.0, 10.0),
    "top_p": (0.0, 1.0),
    "n": (1, 128),
    "seed": (-(1 << 63), (1 << 63) - 1),
}
WHOLE = ("max_tokens", "n", "seed")


@dataclass(frozen=True)
class Request:
    """One row.

    Attributes:
        samplings: One for each of the ``n`` answers; their seeds differ.
    """

    messages: list[Message]
    samplings: tuple[Sampling, ...]


def read(data: Any, params: Mapping[str, Any] | None = None) -> list[Request]:
    """Reads the rows of a call.

    Args:
        data: A DataFrame with a column ``messages`` or ``prompt``; a list of prompts, of chat
            requests or of conversations; one chat request; one prompt.
        params: Parameters for all rows.

    Raises:
        UsageError: Neither messages nor prompts, or a parameter that is unknown or out of range;
            the row is named.
    """
    common = {key: value for key, value in (params or {}).items() if not _absent(value)}
    unknown = sorted(set(common) - set(PARAMETERS))
    if unknown:
        raise UsageError(
            f"unknown parameter {', '.join(unknown)}; allowed: {', '.join(PARAMETERS)}"
        )
    return [_request(row, common, f"row {i}") for i, row in enumerate(_rows(data))]


def _rows(data: Any) -> list[Any]:
    import pandas as pd

    if isinstance(data, pd.Series):
        return list(data)
    if isinstance(data, pd.DataFrame):
        if not {"messages", "prompt"} & set(data.columns) and len(data.columns) == 1:
            return list(data.iloc[:, 0])  # how MLflow passes on a list of prompts
        return [dict(row) for row in data.to_dict(orient="records")]
    if isinstance(data, (Mapping, str)) or _is_conversation(data):
        return [data]
    return list(data)


def _request(row: Any, common: Mapping[str, Any], where: str) -> Request:
    if isinstance(row, str):
        row = {"prompt": row}
    elif _is_conversation(row):
        row = {"messages": row}
    if not isinstance(row, Mapping):
        raise UsageError(f"{where}: needs `messages` or `prompt`, received {row!r:.80}")
    unsupported = sorted(key for key in UNSUPPORTED if not _absent(row.get(key)))
    if unsupported:
        raise UsageError(
            f"{where}: parameter {', '.join(unsupported)} is not supported; allowed: {', '.join(PARAMETERS)}"
        )
    own = {key: row[key] for key in PARAMETERS if not _absent(row.get(key))}
    return Request(_messages(row, where), _samplings({**common, **own}, where))


def _messages(row: Mapping[str, Any], where: str) -> list[Message]:
    messages, prompt = row.get("messages"), row.get("prompt")
    if messages is not None and not _absent(messages):
        if not _is_conversation(messages):
            raise UsageError(
                f"{where}: messages must be a list of {{role, content}} with text, received {messages!r:.120}"
            )
        return [{"role": str(m["role"]), "content": m["content"]} for m in messages]
    if isinstance(prompt, str):
        return [{"role": "user", "content": prompt}]
    raise UsageError(f"{where}: needs `messages` or `prompt`, received {sorted(map(str, row))}")


def _is_conversation(value: Any) -> bool:
    return (
        not isinstance(value, (str, Mapping))
        and hasattr(value, "__len__")
        and len(value) > 0
        and all(
            isinstance(m, Mapping) and "role" in m and isinstance(m.get("content"), str)
            for m in value
        )
    )


def _samplings(options: Mapping[str, Any], where: str) -> tuple[Sampling, ...]:
    values = {key: _number(key, options[key], where) for key in RANGES if key in options}
    answers = int(values.pop("n", 1))
    stops = _stops(options.get("stop", ()), where)
    sampling = Sampling(**values, stop=stops)  # type: ignore[arg-type]
    if sampling.seed is None:
        return (sampling,) * answers
    return tuple(replace(sampling, seed=sampling.seed + i) for i in range(answers))


def _stops(stop: Any, where: str) -> tuple[str, ...]:
    stops = (stop,) if isinstance(stop, str) or not hasattr(stop, "__iter__") else tuple(stop)
    if not all(isinstance(text, str) and text for text in stops):
        raise UsageError(f"{where}: stop must be texts that are not empty, received {stops!r:.80}")
    return stops


def _number(key: str, value: Any, where: str) -> int | float:
    low, high = RANGES[key]
    kind = "a whole number" if key in WHOLE else "a number"
    try:
        number = float(value)
        fits = not isinstance(value, (bool, str)) and low <= number <= high
    except (TypeError, ValueError):
        fits = False
    if not fits or (key in WHOLE and number != int(number)):
        raise UsageError(
            f"{where}: {key} must be {kind} from {low} to {high}, received {value!r:.80}"
        )
    return int(value) if key in WHOLE else number


def _absent(value: Any) -> bool:
    """Missing, or an empty cell of a DataFrame; a list never is."""
    if value is None:
        return True
    if isinstance(value, Sequence) or hasattr(value, "__len__"):
        return False
    return isinstance(value, float) and math.isnan(value)
