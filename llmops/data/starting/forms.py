"""The usual forms of training data, recognised by their columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmops.errors import DataError
from llmops.files.tables import Record

WITH_INPUT = "{{{{ {0} }}}}{{% if {1} %}}\n\n{{{{ {1} }}}}{{% endif %}}"
"""Template of an instruction and a text that it may be about."""
MANY = 2
"""Number of different passages, the empty one included, above which a column holds passages."""


@dataclass(frozen=True)
class Form:
    """How examples lie in a file.

    Attributes:
        name: What people call it.
        keys: Keys of a recipe's ``data`` section.
        note: What a person should know of it; empty for nothing.
    """

    name: str
    keys: Mapping[str, str]
    note: str = ""


def _pair(prompt: str, completion: str) -> tuple[tuple[str, ...], Form]:
    keys = {"prompt": prompt, "completion": completion}
    return (prompt, completion), Form(f"{prompt} and {completion}", keys)


def _passage(name: str, passage: str, answer: str) -> tuple[tuple[str, ...], Form]:
    keys = {"template": WITH_INPUT.format("instruction", passage), "completion": answer}
    return ("instruction", passage, answer), Form(name, keys)


CHOSEN = "preference pairs: trained on the chosen answers; the rejected ones are not read"
KNOWN: tuple[tuple[tuple[str, ...], Form], ...] = (
    (("messages",), Form("messages (OpenAI)", {"messages": "messages"})),
    (("conversations",), Form("conversations (ShareGPT)", {"messages": "conversations"})),
    (
        ("prompt", "chosen", "rejected"),
        Form("preference pairs", {"prompt": "prompt", "completion": "chosen"}, CHOSEN),
    ),
    _passage("instruction, input, output (Alpaca)", "input", "output"),
    _passage("instruction, context, response (Dolly)", "context", "response"),
    *(
        _pair(*names)
        for names in (
            ("prompt", "completion"),
            ("prompt", "response"),
            ("instruction", "response"),
            ("instruction", "output"),
            ("question", "answer"),
            ("query", "response"),
            ("input", "output"),
            ("text", "label"),
            ("text", "category"),
            ("text", "intent"),
            ("sentence", "label"),
        )
    ),
)
"""Columns, by which a form is recognised in this order, and the form."""


def recognised(records: Sequence[Record]) -> Form:
    """Return the form of a file's records; by their lengths where no known columns are there.

    Args:
        records: All records, at least one.

    Raises:
        DataError: There are no two columns of text.
    """
    columns: dict[str, str] = {}
    for column in (column for record in records for column in record):
        if column.lower() not in columns or column.islower():
            columns[column.lower()] = column
    for names, form in KNOWN:
        if not all(name in columns for name in names):
            continue
        written = [columns[name] for name in names]
        if "template" not in form.keys or _varies(records, written[1]):
            return _named(form, columns, written)
    return _guessed(records)


def _varies(records: Sequence[Record], passage: str) -> bool:
    """Return whether a template's passage differs from row to row: a constant is none."""
    return len({str(record.get(passage)) for record in records}) > MANY


def _named(form: Form, columns: Mapping[str, str], written: Sequence[str]) -> Form:
    """Return a form with the columns as the file writes them."""
    keys = {key: columns.get(value, value) for key, value in form.keys.items()}
    if "template" in keys:
        keys["template"] = WITH_INPUT.format(*written[:2])
    return Form(form.name, keys, form.note)


def _guessed(records: Sequence[Record]) -> Form:
    """Take the longest text for the prompt; for the answer labels if there are any, else the next one."""
    texts: dict[str, list[str]] = {}
    for record in records:
        for column, cell in record.items():
            if isinstance(cell, str) and cell.strip():
                texts.setdefault(column, []).append(cell)
    whole = {column: cells for column, cells in texts.items() if len(cells) == len(records)}
    by_length = sorted(whole, key=lambda column: -sum(map(len, whole[column])))
    if len(by_length) < 2:
        raise DataError(
            f"expected two columns of text without empty cells, found {len(by_length)} of"
            f" {len(texts)}",
            next_command="name the columns: llmops init FILE --prompt COLUMN --completion COLUMN",
        )
    prompt, *others = by_length
    labels = [c for c in others if 1 < len(set(whole[c])) <= len(records) / 2]
    completion = (labels or others)[0]
    note = (
        f"the columns were guessed, prompt {prompt!r} and completion {completion!r}: if others are"
        " meant, change data.prompt and data.completion in the recipe"
    )
    return Form("guessed by length", {"prompt": prompt, "completion": completion}, note)


def slice_columns(records: Sequence[Record], used: Any, *, fewest: int = 20) -> list[str]:
    """Return columns that divide the suite into a few parts of a useful size.

    Args:
        records: All records.
        used: Columns that are read already.
        fewest: Records that each part must have.
    """
    found = []
    for column in dict.fromkeys(column for record in records for column in record):
        cells = [record.get(column) for record in records]
        if column in used or not all(isinstance(c, (str, bool)) and str(c).strip() for c in cells):
            continue
        counts: dict[str, int] = {}
        for cell in cells:
            counts[str(cell)] = counts.get(str(cell), 0) + 1
        if 2 <= len(counts) <= 30 and min(counts.values()) >= fewest:
            found.append(column)
    return found
