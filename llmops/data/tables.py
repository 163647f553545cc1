"""A user's own file: CSV, JSON, JSON lines or Parquet, checked row by row."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from llmops import jsonl
from llmops.config import Data
from llmops.errors import DataError, NotFoundError

READERS = (".csv", ".json", ".jsonl", ".parquet")
SHOWN_ROWS = 5


def read_table(config: Data) -> list[dict[str, str]]:
    """Reads the file a recipe names.

    Returns:
        Rows with ``id``, ``prompt``, ``completion`` and ``group``, all non-empty text.

    Raises:
        NotFoundError: No such file.
        DataError: Unreadable, empty, a missing column, or empty cells (rows are named).
    """
    path = Path(str(config.path))
    if not path.is_file():
        raise NotFoundError(
            f"data.path: {path}: no such file", next_command="llmops run RECIPE data.path=FILE"
        )
    frame = _frame(path)
    wanted = [config.prompt, config.completion, *([config.group] if config.group else [])]
    missing = [column for column in wanted if column not in frame.columns]
    if missing:
        raise DataError(
            f"{path}: no column {_listed(missing)}; it has {_listed(frame.columns)}",
            next_command=f"llmops data RECIPE {_overrides(config, missing)}",
        )
    if frame.empty:
        raise DataError(f"{path}: holds no rows")
    _refuse_empty_cells(path, frame, wanted[:2])
    ids = (
        frame["id"].astype(str)
        if "id" in frame.columns
        else [f"row-{i + 1}" for i in range(len(frame))]
    )
    groups = frame[config.group].astype(str) if config.group else ids
    columns = zip(ids, frame[config.prompt], frame[config.completion], groups, strict=True)
    return [
        {"id": str(i), "prompt": str(prompt), "completion": str(completion), "group": str(group)}
        for i, prompt, completion, group in columns
    ]


def _overrides(config: Data, missing: list[str]) -> str:
    """The keys of a recipe that name the missing columns."""
    keys = ("prompt", "completion", "group")
    return " ".join(f"data.{key}=COLUMN" for key in keys if getattr(config, key) in missing)


def _listed(names: Iterable[object]) -> str:
    return ", ".join(repr(str(name)) for name in names)


def _frame(path: Path) -> Any:
    import pandas as pd

    suffix = path.suffix.lower()
    if suffix not in READERS:
        raise DataError(f"{path}: unknown format {suffix!r}; allowed: {', '.join(READERS)}")
    try:
        if suffix == ".csv":
            return _csv(path)
        if suffix == ".parquet":
            return pd.read_parquet(path)
        text = path.read_text(encoding="utf-8-sig")
        if suffix == ".json":
            return pd.DataFrame.from_records(json.loads(text))
        return pd.DataFrame.from_records([json.loads(line) for _, line in jsonl.lines(text)])
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 (byte {error.start})") from error
    except (ValueError, OSError, TypeError, AttributeError) as error:  # what parsers raise
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(f"{path}: cannot be read as {suffix}: {first}") from error


def _csv(path: Path) -> Any:
    """A CSV file whose rows all have the header's fields."""
    import pandas as pd

    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    if not isinstance(frame.index, pd.RangeIndex):
        # pandas takes the first fields for row names, and every column shifts in silence.
        raise ValueError("rows have more fields than the header")
    return frame


def _refuse_empty_cells(path: Path, frame: Any, columns: list[str]) -> None:
    for column in columns:
        cells = frame[column]
        empty = cells.isna() | (cells.astype(str).str.strip() == "")
        if empty.any():
            rows = [str(i + 1) for i, is_empty in enumerate(empty) if is_empty]
            more = f" and {len(rows) - SHOWN_ROWS} more" if len(rows) > SHOWN_ROWS else ""
            raise DataError(
                f"{path}: column {column!r} is empty in row {', '.join(rows[:SHOWN_ROWS])}{more} (of {len(frame)})",
                next_command="remove or fill these rows",
            )
