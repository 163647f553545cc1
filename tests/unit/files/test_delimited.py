"""One table, as the programs of other people write it."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmops.errors import DataError
from llmops.files.delimited import records

PATH = Path("own.csv")
ROWS = [
    {"prompt": "Who reads it, and when?", "expected": "Anna"},
    {"prompt": "Line one\nline; two|\tthree", "expected": ""},
]


def read(text: str) -> list[dict[str, str]]:
    return [row for _, row in records(PATH, text)]


def quoted(separator: str) -> str:
    rows = [["prompt", "expected"], *(list(row.values()) for row in ROWS)]
    return "\n".join(separator.join(f'"{cell}"' for cell in row) for row in rows) + "\n"


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_found(separator: str) -> None:
    assert read(quoted(separator)) == ROWS
    assert read(quoted(separator).replace("\n", "\r\n").replace("one\r\n", "one\n")) == ROWS


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("prompt;expected\nWho reads it, and when?;Anna\n", ROWS[0]),
        ("prompt\texpected\nWho reads it, and when?\tAnna\n", ROWS[0]),
        ("sep=;\nprompt;expected\nWho reads it, and when?;Anna\n", ROWS[0]),
        ('"sep=,"\r\nprompt,expected\r\na;b,Anna\r\n', {"prompt": "a;b", "expected": "Anna"}),
        ("SEP=#\nprompt#expected\na;b,c#Anna\n", {"prompt": "a;b,c", "expected": "Anna"}),
        ("prompt, in words;expected\na;b\nc;d\n", {"prompt, in words": "a", "expected": "b"}),
        ("prompt,a;b\nx;y,z\n", {"prompt": "x;y", "a;b": "z"}),
        (" prompt ; expected \n a ;b\n", {"prompt": "a ", "expected": "b"}),
        ('prompt, expected\na, "b, c"\n', {"prompt": "a", "expected": "b, c"}),
        ("prompt\none, two; three\n", None),
        ("prompt\nalone\n", {"prompt": "alone"}),
        ("\n\nprompt;expected\n\na;b\n", {"prompt": "a", "expected": "b"}),
        ("prompt;expected;;\na;b;;\nc;d;;\n;;;\n;;;\n", {"prompt": "a", "expected": "b"}),
        ("prompt;expected\ra;b\r", {"prompt": "a", "expected": "b"}),
    ],
)
def test_extras_of_other_programs(text: str, first: dict[str, str] | None) -> None:
    if first is None:
        with pytest.raises(
            DataError, match=r"row 1: 2 fields, the header has 1 \(separated by comm"
        ):
            read(text)
    else:
        assert read(text)[0] == first


def test_empty_cells_at_the_end_are_no_rows_and_no_columns() -> None:
    text = "prompt;expected;;\na;b;;\n;;;\nc;d;;\n;;;\n;;;\n"
    empty = {"prompt": "", "expected": ""}
    assert read(text) == [{"prompt": "a", "expected": "b"}, empty, {"prompt": "c", "expected": "d"}]
    assert list(read("a;\n1;2\n")[0]) == ["a", ""]


def test_rows_are_numbered_without_the_header_and_blank_lines() -> None:
    places = [where for where, _ in records(PATH, 'a;b\n1;"x\ny"\n\n2;z\n')]
    assert places == ["own.csv: row 1", "own.csv: row 2"]
    declared = [where for where, _ in records(PATH, "sep=;\na;b\n1;2\n")]
    assert declared == ["own.csv: row 1"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,b\n1,2\n1,2,3\n", "row 2: 3 fields, the header has 2 (separated by commas)"),
        ("a;b\n1;2\n1;2;3\n", "row 2: 3 fields, the header has 2 (separated by semicolons)"),
        ("sep=#\na#b\n1\n", "row 1: 1 fields, the header has 2 (separated by '#')"),
        ('a;b\n1;2\n"1;2\n', "row 2: not CSV"),
        ('a;b\n"1;2\n', "row 1: not CSV"),
        ("a; a \n1;2\n", "the header names a column twice: a, a"),
    ],
)
def test_what_is_no_table_names_row_and_separator(text: str, says: str) -> None:
    with pytest.raises(DataError) as caught:
        read(text)
    assert says in caught.value.message
    assert caught.value.message.startswith("own.csv: ")


def test_no_text_has_no_rows() -> None:
    assert read("") == read("\n") == read("a;b\n") == []
