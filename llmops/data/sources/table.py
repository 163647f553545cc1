"""Training rows from a user's file, checked row by row."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from llmops.data.sources.conversation import LIST, examples_of
from llmops.engine.openai.turns import broken
from llmops.errors import DataError, NotFoundError, UsageError
from llmops.files.tables import Record, read_records
from llmops.recipe.data import Data
from llmops.recipe.template import Template, text_of

Row = dict[str, Any]
SHOWN_ROWS = 5
"""Maximum number of rows that an error lists."""
SHOWN_COLUMNS = 20
"""Maximum number of columns that an error lists."""
SLICE = "slice."
"""Beginning of a column that is a slice of the suite."""
ID = "id"


class Table(NamedTuple):
    """The examples of a file.

    Attributes:
        rows: Each with ``id``, ``prompt`` or ``messages``, ``completion``, ``group``, and ``slice.NAME``.
        unread: Columns that nothing reads.
    """

    rows: list[Row]
    unread: tuple[str, ...]


def read_table(config: Data, path: Path, key: str = "data.path") -> Table:
    """Read a file of examples.

    Args:
        config: The recipe's ``data`` section: the names of the columns, or a template over them.
        path: The file.
        key: Key of the recipe that names it, for an error.

    Raises:
        NotFoundError: There is no such file.
        DataError: The file cannot be read or holds no rows, a column is missing, a cell is empty, or a
            conversation has no answer; the message names the rows.
    """
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "no such file"
        raise NotFoundError(f"{key}: {path}: {what}", next_command=f"llmops run RECIPE {key}=FILE")
    records = [row for _, row in read_records(path)]
    if not records:
        raise DataError(f"{path}: holds no rows", next_command="add examples, a row each")
    columns = tuple(dict.fromkeys(column for record in records for column in record))
    wanted = _wanted(config)
    _refuse_missing(path, columns, wanted)
    _refuse_empty_cells(path, records, [c for c, k in wanted.items() if k in FILLED])
    slices = _slices(config, columns)
    read = {*wanted, *slices.values(), ID}
    rows = [
        row for number, one in enumerate(records, 1) for row in _rows(config, path, number, one)
    ]
    labelled = [{**row, **_cells(records[number], slices)} for number, row in rows]
    for row in labelled:
        _refuse_broken(path, row)
    return Table(labelled, tuple(column for column in columns if column not in read))


FILLED = ("data.prompt", "data.completion", "data.messages")
"""Keys whose columns must have no empty cell."""


def _wanted(config: Data) -> dict[str, str]:
    """Return column → the key that names it, for all that a recipe reads but slices."""
    wanted: dict[str, str] = {}
    if config.messages:
        wanted[config.messages] = "data.messages"
    else:
        columns = Template(config.template).columns if config.template else (config.prompt,)
        key = "data.template" if config.template else "data.prompt"
        wanted |= dict.fromkeys(columns, key)
        wanted[config.completion] = "data.completion"
    if config.group:
        wanted.setdefault(config.group, "data.group")
    return wanted | dict.fromkeys(config.slices, "data.slices") | wanted


def _slices(config: Data, columns: Iterable[str]) -> dict[str, str]:
    """Return name of a slice → its column."""
    named = {c.removeprefix(SLICE): c for c in columns if c.startswith(SLICE) and c != SLICE}
    return named | {column.removeprefix(SLICE): column for column in config.slices}


def _cells(record: Record, slices: dict[str, str]) -> Row:
    return {
        f"{SLICE}{name}": str(record[column])
        for name, column in sorted(slices.items())
        if not _empty(record.get(column))
    }


def _rows(config: Data, path: Path, number: int, record: Record) -> Iterator[tuple[int, Row]]:
    """Yield the examples of a record, one for each answer, with the record's index."""
    identity = f"row-{number}" if _empty(record.get(ID)) else str(record[ID])
    named = config.group and not _empty(record.get(config.group))
    group = str(record[str(config.group)]) if named else identity
    where = f"{path}: row {number}"
    asked = list(_asked(config, where, record))
    for turn, example in enumerate(asked, 1):
        one = identity if len(asked) == 1 else f"{identity}/{turn}"
        yield number - 1, {ID: one, **example, "group": group}


def _asked(config: Data, where: str, record: Record) -> Iterator[Row]:
    """Yield what is asked and answered in a record."""
    if config.messages:
        place = f"{where}: `{config.messages}`"
        try:
            yield from examples_of(place, record[config.messages], config.system)
        except DataError as error:
            error.next_command = error.next_command or "correct or remove this row, then rerun"
            raise
        return
    prompt = _prompt(config, where, record)
    answer = _text(record[config.completion])
    if config.system:
        turns = [{"role": "system", "content": config.system}, {"role": "user", "content": prompt}]
        yield {"messages": turns, "completion": answer}
    else:
        yield {"prompt": prompt, "completion": answer}


def _prompt(config: Data, where: str, record: Record) -> str:
    if config.template is None:
        _refuse_turns(where, config.prompt, record[config.prompt])
        return _text(record[config.prompt])
    cells = {name: None if _empty(cell) else cell for name, cell in record.items()}
    try:
        prompt = _compiled(config.template).render(cells)
    except UsageError as error:
        raise DataError(
            f"{where}: data.{error.message}", next_command=error.next_command
        ) from error
    if not prompt:
        raise DataError(
            f"{where}: data.template makes an empty prompt of it",
            next_command="remove or fill the row, or write data.template with more columns",
        )
    return prompt


def _text(cell: Any) -> str:
    """Return a cell as text; a JSON object or list stays JSON."""
    return str(text_of(cell))


def _refuse_turns(where: str, column: str, cell: Any) -> None:
    """Refuse a conversation where a text is expected."""
    if isinstance(cell, list) and any(isinstance(turn, dict) for turn in cell):
        raise DataError(
            f"{where}: column {column!r} holds a conversation",
            next_command="write prompt and answer as one list in a column `messages`, then"
            " llmops data RECIPE data.messages=messages",
        )


@lru_cache(maxsize=8)
def _compiled(template: str) -> Template:
    return Template(template)


def _refuse_missing(path: Path, columns: tuple[str, ...], wanted: dict[str, str]) -> None:
    missing = [column for column in wanted if column not in columns]
    if not missing:
        return
    keys = list(dict.fromkeys(wanted[column] for column in missing))
    near = {column: get_close_matches(column, columns, n=1) for column in missing}
    meant = "; ".join(
        f"for {c!r}, did you mean {found[0]!r}?" for c, found in near.items() if found
    )
    more = len(columns) - SHOWN_COLUMNS
    next_command = f"llmops data RECIPE {' '.join(f'{key}=COLUMN' for key in keys)}"
    if LIST in columns and "data.messages" not in keys:
        next_command = f"llmops data RECIPE data.messages={LIST}"
    raise DataError(
        f"{path}: no column {_listed(missing)}; it has {_listed(columns[:SHOWN_COLUMNS])}"
        f"{f' and {more} more' if more > 0 else ''}{'; ' if meant else ''}{meant}",
        next_command=next_command,
    )


def _listed(names: Iterable[object]) -> str:
    return ", ".join(repr(str(name)) for name in names)


def _empty(cell: object) -> bool:
    if isinstance(cell, float):
        return math.isnan(cell)
    return cell is None or not str(cell).strip()


def _refuse_broken(path: Path, row: Row) -> None:
    """Refuse half of a surrogate pair, which JSON allows and no file or tokenizer accepts."""
    for key, text in row.items():
        if isinstance(text, str) and (wrong := broken(text)):
            raise DataError(
                f"{path}: {row[ID]!a}: {key!a} {wrong}", next_command="correct or remove this row"
            )


def _refuse_empty_cells(path: Path, rows: list[Record], columns: list[str]) -> None:
    for column in columns:
        empty = [str(i) for i, row in enumerate(rows, 1) if _empty(row.get(column))]
        if empty:
            more = f" and {len(empty) - SHOWN_ROWS} more" if len(empty) > SHOWN_ROWS else ""
            raise DataError(
                f"{path}: column {column!r} is empty in row {', '.join(empty[:SHOWN_ROWS])}{more} (of {len(rows)})",
                next_command="remove or fill these rows",
            )
