"""Tables as text, with the separator and the extras of the program that wrote them.

Spreadsheet programs separate cells by commas, semicolons or tabs, depending on the language of the
machine; some begin with a line ``sep=;``, and some leave empty cells behind the table.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

from llmops.errors import DataError

FIELD_LIMIT = 1 << 24
"""Maximum characters of one field; Python's default, 131,072, is too short for documents."""
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
"""Separators in the order in which they are tried, and their names."""
DECLARED = re.compile(r'"?sep=(.)"?\r?\n', re.IGNORECASE)
"""First line in which Excel expects the separator."""

Cells = list[str]


def records(path: Path, text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the rows of a table, each with its place.

    A row without any cell is skipped. Names of columns lose the spaces around them.

    Args:
        path: File of the table, for the places.
        text: Text of the file, whose first row names the columns.

    Raises:
        DataError: A row has more or fewer fields than the header, a quote does not end, or a column
            is named twice; the message names the row and the separator.
    """
    csv.field_size_limit(FIELD_LIMIT)
    if declared := DECLARED.match(text):
        text, separator = text[declared.end() :], declared[1]
    else:
        separator = _separator(text)
    header, rows = _trimmed([cells for cells in _rows(path, text, separator) if cells])
    if len(set(header)) < len(header):
        raise DataError(f"{path}: the header names a column twice: {', '.join(header)}")
    for number, cells in enumerate(rows, 1):
        if len(cells) != len(header):
            name = SEPARATORS.get(separator, repr(separator))
            raise DataError(
                f"{path}: row {number}: {len(cells)} fields, the header has {len(header)}"
                f" (separated by {name})",
                next_command='write a cell that holds the separator in quotes: "…"',
            )
        yield f"{path}: row {number}", dict(zip(header, cells, strict=True))


def _separator(text: str) -> str:
    """Return the first separator that splits every row alike; else the one that splits the header.

    A table of one column has no separator: a comma, as everywhere else, ends its cells.
    """
    splitting = {s: len(_first(text, s)) for s in SEPARATORS if len(_first(text, s)) > 1}
    for separator in splitting:
        if _is_even(text, separator):
            return separator
    return max(splitting, key=lambda separator: splitting[separator], default=",")


def _first(text: str, separator: str) -> Cells:
    try:
        return next((cells for cells in _reader(text, separator) if cells), [])
    except csv.Error:
        return []


def _is_even(text: str, separator: str) -> bool:
    try:
        return len({len(cells) for cells in _reader(text, separator) if cells}) == 1
    except csv.Error:
        return False


def _rows(path: Path, text: str, separator: str) -> Iterator[Cells]:
    number = 0
    try:
        for cells in _reader(text, separator):
            yield cells
            number += bool(cells)
    except csv.Error as error:
        raise DataError(f"{path}: row {max(1, number)}: not CSV: {error}") from error


def _reader(text: str, separator: str) -> Iterator[Cells]:
    """Read rows; if names of columns stand after a space, so may cells, quoted ones included."""
    plain = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator)
    spaced = any(cell.startswith(" ") for cell in next(plain, [])[1:])
    return csv.reader(
        io.StringIO(text, newline=""), strict=True, delimiter=separator, skipinitialspace=spaced
    )


def _trimmed(table: list[Cells]) -> tuple[Cells, list[Cells]]:
    """Return header and rows without the empty columns and rows at their ends."""
    if not table:
        return [], []
    header, rows = [name.strip() for name in table[0]], table[1:]
    while rows and not any(cell.strip() for cell in rows[-1]):
        rows.pop()
    even = all(len(cells) == len(header) for cells in rows)
    while even and header and not header[-1] and not any(cells[-1].strip() for cells in rows):
        header.pop()
        rows = [cells[:-1] for cells in rows]
    return header, rows
