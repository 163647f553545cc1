"""Rows as MLflow's evaluation data has them: ``inputs``, ``expectations`` and ``tags``."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from llmops.errors import DataError
from llmops.progress import say

SLICE = "slice."
"""Prefix of a column that tags a slice."""
PROMPTS = ("messages", "prompt")
"""Keys of ``inputs`` that a suite reads whatever else is there."""
ANSWERS = ("expected_response", "expected")
"""Keys of ``expectations`` that a suite reads whatever else is there."""

Row = Mapping[str, Any]


def plain_rows(rows: Iterable[tuple[str, Row]]) -> Iterator[tuple[str, Row]]:
    """Yield rows with the columns of a suite; a row without ``inputs`` stays as it is.

    The prompt is ``inputs["messages"]``, ``inputs["prompt"]``, or the only text in ``inputs``; the
    expected answer is ``expectations["expected_response"]``, ``expectations["expected"]``, or the
    only text in ``expectations``. A key with another name is reported once.

    Args:
        rows: Place and columns of each row. A cell may also hold the object as JSON.

    Raises:
        DataError: There is no text, or more than one; the message names the keys.
    """
    reported: set[str] = set()
    for where, row in rows:
        if not _has(row, "inputs") or any(_has(row, name) for name in PROMPTS):
            yield where, row
            continue
        found = dict(_prompt(where, row)) | dict(_expected(where, row))
        for column, (source, _) in found.items():
            if source not in reported and source.rpartition(" ")[2] not in _USUAL:
                say(f"{where}: `{column}` is read from {source}, here and in the rows after it")
            reported.add(source)
        values = {column: value for column, (_, value) in found.items()}
        yield where, {**row, **_identity(row), **_slices(row), **values}


_USUAL = {f"inputs[{name!r}]" for name in PROMPTS} | {f"expectations[{name!r}]" for name in ANSWERS}


def _prompt(where: str, row: Row) -> Iterator[tuple[str, tuple[str, Any]]]:
    """Yield the column of the prompt with its source and value."""
    inputs = _object(row["inputs"])
    if not isinstance(inputs, Mapping):
        yield ("messages" if _is_conversation(inputs) else "prompt"), ("inputs", inputs)
        return
    if all(_has(inputs, name) for name in PROMPTS):
        raise DataError(f"{where}: `inputs` has both `messages` and `prompt`; keep one")
    key = _key(f"{where}: `inputs`", inputs, PROMPTS, "prompt")
    if key is None:
        raise DataError(
            f"{where}: `inputs` has no text that could be the prompt; it has {_listed(inputs)}",
            next_command='name it "prompt" or "messages"',
        )
    column = "messages" if key == "messages" or _is_conversation(inputs[key]) else "prompt"
    yield column, (f"inputs[{key!r}]", inputs[key])


def _expected(where: str, row: Row) -> Iterator[tuple[str, tuple[str, Any]]]:
    """Yield the expected answer with its source, if there is one."""
    if not _has(row, "expectations"):
        return
    expectations = _object(row["expectations"])
    if not isinstance(expectations, Mapping):
        yield "expected", ("expectations", expectations)
        return
    key = _key(f"{where}: `expectations`", expectations, ANSWERS, "expected_response")
    if key is not None:
        yield "expected", (f"expectations[{key!r}]", expectations[key])


def _key(where: str, cell: Row, usual: tuple[str, ...], name: str) -> str | None:
    """Return the key whose value counts: a usual one, or the only text; ``None`` without one.

    Raises:
        DataError: Several keys have a text.
    """
    for key in usual:
        if _has(cell, key):
            return key
    texts = [key for key, value in cell.items() if _is_text(value)]
    if len(texts) > 1:
        raise DataError(
            f"{where} has several texts, {_listed(texts)}; which one counts is not clear",
            next_command=f'name it "{name}"; put everything that the model should read into it',
        )
    return texts[0] if texts else None


def _has(cell: Row, key: str) -> bool:
    """Return whether a key has a value that is not empty."""
    value = cell.get(key)
    if isinstance(value, float):
        return not math.isnan(value)
    return bool(value.strip()) if isinstance(value, str) else value is not None


def _object(cell: Any) -> Any:
    """Return a cell as the object that it holds; text that is not JSON stays text."""
    if isinstance(cell, str) and cell.strip()[:1] in ("{", "["):
        try:
            return json.loads(cell)
        except (ValueError, RecursionError):
            return cell
    return cell.tolist() if hasattr(cell, "tolist") else cell


def _is_text(value: object) -> bool:
    return (isinstance(value, str) and bool(value.strip())) or _is_conversation(value)


def _is_conversation(value: object) -> bool:
    value = value.tolist() if hasattr(value, "tolist") else value
    return (
        isinstance(value, (list, tuple))
        and len(value) > 0
        and all(isinstance(turn, Mapping) and "role" in turn for turn in value)
    )


def _identity(row: Row) -> dict[str, Any]:
    """Return the id that MLflow gave the row, unless it has its own."""
    if _has(row, "id") or not _has(row, "dataset_record_id"):
        return {}
    return {"id": row["dataset_record_id"]}


def _slices(row: Row) -> dict[str, Any]:
    """Return the tags as slices, without those that MLflow writes itself."""
    tags = _object(row.get("tags"))
    if not isinstance(tags, Mapping):
        return {}
    return {f"{SLICE}{key}": tags[key] for key in tags if not str(key).startswith("mlflow.")}


def _listed(names: Iterable[object]) -> str:
    return ", ".join(repr(str(name)) for name in names) or "no keys"
