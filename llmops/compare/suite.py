"""Reading a suite: held-out prompts as JSON lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from llmops import digest, jsonl
from llmops.errors import DataError, NotFoundError
from llmops.records import Example, Suite


def load_suite(path: str | Path, *, name: str | None = None) -> Suite:
    """Reads JSON lines with ``id``, ``prompt``, ``completion`` and, optionally, ``group``.

    Args:
        path: UTF-8 file.
        name: Name of the dataset in MLflow; by default the file's.

    Raises:
        NotFoundError: No such file.
        DataError: Empty, not JSON, repeated ids, or a row without prompt or expected answer.
    """
    path = Path(path)
    if not path.is_file():
        raise NotFoundError(f"suite {path}: no such file")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"suite {path}: not UTF-8 (byte {error.start})") from error
    examples = tuple(_example(path, number, line) for number, line in jsonl.lines(text))
    if not examples:
        raise DataError(f"suite {path}: holds no prompts")
    ids = [example.id for example in examples]
    if len(set(ids)) < len(ids):
        repeated = next(i for i in ids if ids.count(i) > 1)
        raise DataError(f"suite {path}: id {repeated!r} occurs more than once")
    return Suite(
        name=name or path.stem, path=path, digest=digest.of_bytes(text.encode()), examples=examples
    )


def _example(path: Path, number: int, line: str) -> Example:
    try:
        row: Any = json.loads(line)
    except ValueError as error:
        raise DataError(f"suite {path}:{number}: not JSON: {error}") from error
    if not isinstance(row, dict):
        raise DataError(f"suite {path}:{number}: expected an object, received {type(row).__name__}")
    missing = [key for key in ("id", "prompt", "completion") if not str(row.get(key) or "").strip()]
    if missing:
        raise DataError(f"suite {path}:{number}: `{missing[0]}` is missing or empty")
    return Example(
        id=str(row["id"]),
        messages=({"role": "user", "content": str(row["prompt"])},),
        expected=str(row["completion"]),
        cluster=str(row.get("group") or row["id"]),
    )
