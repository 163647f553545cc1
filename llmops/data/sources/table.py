"""Training rows from a user's file, checked row by row."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from llmops.errors import DataError, NotFoundError
from llmops.files.tables import Record, read_records
from llmops.recipe.schema import Data

SHOWN_ROWS = 5
"""Maximum number of rows that an error lists."""


def read_table(config: Data) -> list[dict[str, str]]:
    """Read the file that a recipe names.

    Args:
        config: The recipe's ``data`` section: the path, and the names of the columns.

    Returns:
        Rows with ``id``, ``prompt``, ``completion`` and ``group``, all non-empty text.

    Raises:
        NotFoundError: There is no such file.
        DataError: The file cannot be read or holds no rows, a column is missing, or a cell is
            empty; the message names the rows.
    """
    path = Path(str(config.path))
    if not path.is_file():
        raise NotFoundError(
            f"data.path: {path}: no such file", next_command="llmops run RECIPE data.path=FILE"
        )
    rows = [row for _, row in read_records(path)]
    if not rows:
        raise DataError(f"{path}: holds no rows")
    columns = dict.fromkeys(column for row in rows for column in row)
    wanted = [config.prompt, config.completion, *([config.group] if config.group else [])]
    missing = [column for column in wanted if column not in columns]
    if missing:
        raise DataError(
            f"{path}: no column {_listed(missing)}; it has {_listed(columns)}",
            next_command=f"llmops data RECIPE {_overrides(config, missing)}",
        )
    _refuse_empty_cells(path, rows, wanted[:2])
    return [_row(config, number, row) for number, row in enumerate(rows, 1)]


def _row(config: Data, number: int, row: Record) -> dict[str, str]:
    identity = f"row-{number}" if _empty(row.get("id")) else str(row["id"])
    return {
        "id": identity,
        "prompt": str(row[config.prompt]),
        "completion": str(row[config.completion]),
        "group": str(row.get(config.group)) if config.group else identity,
    }


def _overrides(config: Data, missing: list[str]) -> str:
    """Return overrides of the recipe keys that name the missing columns."""
    keys = ("prompt", "completion", "group")
    return " ".join(f"data.{key}=COLUMN" for key in keys if getattr(config, key) in missing)


def _listed(names: Iterable[object]) -> str:
    return ", ".join(repr(str(name)) for name in names)


def _empty(cell: object) -> bool:
    if isinstance(cell, float):
        return math.isnan(cell)
    return cell is None or not str(cell).strip()


def _refuse_empty_cells(path: Path, rows: list[Record], columns: list[str]) -> None:
    for column in columns:
        empty = [str(i) for i, row in enumerate(rows, 1) if _empty(row.get(column))]
        if empty:
            more = f" and {len(empty) - SHOWN_ROWS} more" if len(empty) > SHOWN_ROWS else ""
            raise DataError(
                f"{path}: column {column!r} is empty in row {', '.join(empty[:SHOWN_ROWS])}{more} (of {len(rows)})",
                next_command="remove or fill these rows",
            )
