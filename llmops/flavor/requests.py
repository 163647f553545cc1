"""Reading what a caller of ``predict`` hands in: chat requests, prompts, DataFrames.

A row becomes messages, a ``Sampling`` and a number of answers. A row's own parameters win over
those of the call.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from llmops.errors import UsageError
from llmops.records import Message, Sampling

PARAMETERS = ("max_tokens", "temperature", "top_p", "n", "seed", "stop")
ALIASES = {"max_completion_tokens": "max_tokens"}
"""OpenAI's newer names."""
HARMLESS = ("model", "user", "metadata", "id", "store", "service_tier", "safety_identifier")
"""What clients send along and what changes no answer."""
UNSUPPORTED = {
    "logprobs": "",
    "top_logprobs": "",
    "response_format": "",
    "tools": "",
    "tool_choice": "",
    "functions": "",
    "frequency_penalty": "",
    "presence_penalty": "",
    "repetition_penalty": "",
    "logit_bias": "",
    "top_k": "",
    "min_p": "",
    "num_beams": "",
    "do_sample": " (temperature 0 is greedy)",
    "max_new_tokens": " (it is called max_tokens)",
    "stream": " (predict_stream does it)",
    "stream_options": " (predict_stream does it)",
}
"""Parameters that would change the answer, and what to do instead; refused unless they are off."""
TEXT = ("messages", "prompt")
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
    common = _parameters(params or {}, "params")
    return [_request(row, common, f"row {i}") for i, row in enumerate(_rows(data))]


def read_one(data: Any, params: Mapping[str, Any] | None = None) -> Request:
    """Reads the one row of a call that gets one answer; see ``read``."""
    rows = read(data, params)
    if len(rows) != 1 or len(rows[0].samplings) != 1:
        raise UsageError("predict_stream answers one row with n=1; use predict for several")
    return rows[0]


def _rows(data: Any) -> list[Any]:
    import pandas as pd

    if isinstance(data, pd.DataFrame):
        return _table(data)
    data = _plain(data)
    if isinstance(data, (Mapping, str)) or _is_conversation(data):
        return [data]
    if not isinstance(data, Iterable):
        raise UsageError(f"needs prompts or chat requests, received {data!r:.80}")
    return list(data)


def _table(data: Any) -> list[Any]:
    """Rows of a DataFrame; columns that are no part of a request are the caller's own."""
    if list(data.columns) == [0]:
        return list(data[0])  # how MLflow passes on a list of prompts
    if not set(TEXT) & set(data.columns):
        raise UsageError(
            f"the DataFrame needs a column `messages` or `prompt`, received {list(data.columns)!r:.120}"
        )
    ours = [name for name in data.columns if name in (*TEXT, *PARAMETERS, *ALIASES, *UNSUPPORTED)]
    return [dict(row) for row in data[ours].to_dict(orient="records")]


def _plain(value: Any) -> Any:
    """Arrays and Series, which MLflow's scoring server makes of JSON lists, as lists."""
    return value.tolist() if hasattr(value, "tolist") else value


def _request(row: Any, common: Mapping[str, Any], where: str) -> Request:
    row = _plain(row)
    if isinstance(row, str):
        row = {"prompt": row}
    elif _is_conversation(row):
        row = {"messages": row}
    if not isinstance(row, Mapping):
        raise UsageError(f"{where}: needs `messages` or `prompt`, received {row!r:.80}")
    row = {key: _plain(value) for key, value in row.items()}
    own = _parameters({key: row[key] for key in row if key not in (*TEXT, *HARMLESS)}, where)
    return Request(_messages(row, where), _samplings({**common, **own}, where))


def _parameters(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Those that are there, by the names that they have here."""
    found: dict[str, Any] = {}
    for key, value in given.items():
        if _absent(value) or (key in UNSUPPORTED and value in (False, 0)):
            continue
        if key not in (*PARAMETERS, *ALIASES):
            what = f"is not supported{UNSUPPORTED[key]}" if key in UNSUPPORTED else "is unknown"
            raise UsageError(f"{where}: parameter {key} {what}; allowed: {', '.join(PARAMETERS)}")
        name = ALIASES.get(key, key)
        if found.setdefault(name, value) != value:
            raise UsageError(f"{where}: {key} and {name} are one parameter with two values")
    return found


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
    raise UsageError(
        f"{where}: needs `messages` or `prompt`, received {sorted(map(str, row))!r:.120}"
    )


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
    fits = isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high
    if not fits or (key in WHOLE and value != int(value)):
        raise UsageError(
            f"{where}: {key} must be {kind} from {low} to {high}, received {value!r:.80}"
        )
    return int(value) if key in WHOLE else float(value)


def _absent(value: Any) -> bool:
    """Missing, or an empty cell of a DataFrame; a list never is."""
    if value is None:
        return True
    return isinstance(value, float) and math.isnan(value)
