"""The file that humans fill in: one row for each drawn prompt, CSV or JSON lines."""

from __future__ import annotations

import csv
import difflib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from llmops.compare.labels.draw import Drawn
from llmops.errors import DataError, LlmopsError, UsageError
from llmops.files import home
from llmops.files.tables import read_records

SUFFIXES = (".csv", ".jsonl")
COLUMNS = ("row", "key", "id", "prompt", "expected", "answer_one", "answer_two", "preference")
NEEDED = ("row", "key", "id", "preference")
ONE, TWO, TIE = "one", "two", "tie"
ALLOWED = (ONE, TWO, TIE)
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters of a cell that a spreadsheet would compute: answers are foreign text."""
BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True)
class Label:
    """A filled row.

    Attributes:
        where: Place of the row, for errors.
        id: Id of the prompt.
        row: Position and size of the sample, such as ``17 of 100``.
        preference: ``one``, ``two`` or ``tie``.
    """

    where: str
    id: str
    row: str
    preference: str


def require_format(path: Path) -> None:
    """Check the suffix of a label file.

    Raises:
        UsageError: It is neither ``.csv`` nor ``.jsonl``.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"{path}: labels have the suffix {path.suffix or '(none)'!r}; allowed:"
            f" {', '.join(SUFFIXES)}"
        )


def write_sheet(drawn: Sequence[Drawn], path: Path) -> None:
    """Write a sample for humans to label; the column ``preference`` is empty.

    Where both answers are the same text, the preference is ``tie`` already.

    Raises:
        LlmopsError: The file cannot be written.
        UsageError: Its suffix is neither ``.csv`` nor ``.jsonl``.
    """
    require_format(path)
    records = [_record(one) for one in drawn]
    text = _csv(records) if path.suffix.lower() == ".csv" else _json_lines(records)
    try:
        home.write_whole(path, text)
    except OSError as error:
        raise LlmopsError(
            f"{path}: cannot be written: {error.strerror}",
            next_command="choose another file for --labels, then rerun; answers are cached",
        ) from error


def read_sheet(path: Path) -> Mapping[str, Label]:
    """Return the labels of a file by the keys of its rows.

    Raises:
        NotFoundError: No such file.
        DataError: A column is missing, a key occurs twice, a preference is not allowed, or rows
            have none.
        UsageError: The suffix is neither ``.csv`` nor ``.jsonl``.
    """
    require_format(path)
    found: dict[str, Label] = {}
    for where, record in read_records(path):
        label = _label(where, record)
        key = _text(record["key"])
        if key in found:
            raise DataError(
                f"{where}: key {key!r} (id {label.id!r}) is that of {found[key].where}",
                next_command="keep one row for each prompt",
            )
        found[key] = label
    empty = [label for label in found.values() if not label.preference]
    if empty or not found:
        first = f"; the first: {empty[0].where}, id {empty[0].id!r}" if empty else ""
        raise DataError(
            f"{path}: {len(empty)} of {len(found)} rows have no preference{first}",
            next_command=f"write {', '.join(ALLOWED[:-1])} or {TIE} in the column `preference`",
        )
    return found


def _record(drawn: Drawn) -> dict[str, str]:
    one, two = drawn.answers
    example = drawn.row.example
    turns = [f"{turn['role']}: {turn['content']}" for turn in example.messages]
    return {
        "row": f"{drawn.position} of {drawn.size}",
        "key": drawn.key,
        "id": example.id,
        "prompt": example.messages[0]["content"] if len(turns) == 1 else "\n\n".join(turns),
        "expected": example.expected or "",
        "answer_one": one,
        "answer_two": two,
        "preference": TIE if one == two else "",
    }


def _csv(records: Sequence[Mapping[str, str]]) -> str:
    """Return CSV that spreadsheets show as text: with a byte order mark, and without formulas."""
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    for record in records:
        table.writerow({name: _inert(value) for name, value in record.items()})
    return BYTE_ORDER_MARK + text.getvalue()


def _inert(cell: str) -> str:
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def _json_lines(records: Sequence[Mapping[str, str]]) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def _label(where: str, record: Mapping[str, object]) -> Label:
    missing = [name for name in NEEDED if name not in record]
    if missing:
        raise DataError(
            f"{where}: no column {', '.join(missing)}; received {', '.join(map(str, record))}",
            next_command="fill in the file that --label-sample wrote, and save it in its format"
            " (CSV with commas)",
        )
    preference = _text(record["preference"]).lower()
    if preference and preference not in ALLOWED:
        close = difflib.get_close_matches(preference, ALLOWED, 1)
        meant = f"; did you mean {close[0]}?" if close else ""
        raise DataError(
            f"{where}: preference {_text(record['preference'])!r}; allowed:"
            f" {', '.join(ALLOWED)}{meant}"
        )
    return Label(where, _text(record["id"]), _text(record["row"]), preference)


def _text(cell: object) -> str:
    return "" if cell is None else str(cell).strip()
