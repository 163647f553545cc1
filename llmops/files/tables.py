"""Records of a user's file (CSV, TSV, JSON, JSON lines or Parquet), each with its place."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llmops.errors import DataError, NotFoundError, first_line
from llmops.files import delimited, jsonl
from llmops.files.decode import text_of

FORMATS = (".csv", ".json", ".jsonl", ".parquet", ".tsv")

Record = dict[str, Any]


def read_records(path: Path) -> Iterator[tuple[str, Record]]:
    """Yield the records of a file, each with the place that errors name.

    An empty cell is ``None`` in Parquet and ``""`` in CSV; every CSV cell is text. The separator of
    CSV is found by itself.

    Yields:
        The place (``FILE:LINE`` for JSON lines, else ``FILE: row N``, from 1) and the record.

    Raises:
        NotFoundError: No such file.
        DataError: The format is unknown, or the file is in an unknown encoding or not in the format
            of its suffix; the message names the row.
    """
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "no such file"
        raise NotFoundError(f"{path}: {what}", next_command=f"ls {shlex.quote(str(path.parent))}")
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        yield from delimited.records(path, text_of(path))
    elif suffix == ".json":
        yield from _json(path)
    elif suffix == ".jsonl":
        yield from _json_lines(path)
    elif suffix == ".parquet":
        yield from _parquet(path)
    else:
        raise DataError(
            f"{path}: unknown format {suffix or '(no suffix)'!r}; allowed: {', '.join(FORMATS)}",
            next_command="export the table as CSV",
        )


def _json_lines(path: Path) -> Iterator[tuple[str, Record]]:
    for number, line in jsonl.lines(text_of(path)):
        yield f"{path}:{number}", _object(_loaded(line, f"{path}:{number}"), f"{path}:{number}")


def _json(path: Path) -> Iterator[tuple[str, Record]]:
    rows = _loaded(text_of(path), str(path))
    if not isinstance(rows, list):
        raise DataError(
            f"{path}: expected an array of objects, received {type(rows).__name__}",
            next_command="write the examples as [{…}, {…}], or one object a line in a .jsonl file",
        )
    for number, row in enumerate(rows, 1):
        yield f"{path}: row {number}", _object(row, f"{path}: row {number}")


def _loaded(text: str, where: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not JSON: {error}") from error


def _object(row: object, where: str) -> Record:
    if not isinstance(row, dict):
        raise DataError(f"{where}: expected an object, received {type(row).__name__}")
    return row


def _parquet(path: Path) -> Iterator[tuple[str, Record]]:
    # Not through pandas: it makes 1.0 of 1 in a column with empty cells.
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows = pq.ParquetFile(path).read().to_pylist()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{path}: not Parquet: {first_line(error)}") from error
    for number, row in enumerate(rows, 1):
        yield f"{path}: row {number}", row
