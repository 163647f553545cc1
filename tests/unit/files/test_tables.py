from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmops.errors import DataError, NotFoundError
from llmops.files.tables import read_records

ROWS = [
    {"id": "1", "prompt": 'say "a,\nb"\u2028c', "note": "x"},
    {"id": "2", "prompt": "größe", "note": None},
]


def written(folder: Path, suffix: str) -> Path:
    import csv

    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / f"own{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    elif suffix == ".csv":
        with path.open("w", encoding="utf-8-sig", newline="") as stream:
            table = csv.DictWriter(stream, list(ROWS[0]))
            table.writeheader()
            table.writerows(ROWS)
    elif suffix == ".json":
        path.write_text(json.dumps(ROWS), encoding="utf-8-sig")
    else:
        path.write_text("\n\n".join(json.dumps(r, ensure_ascii=False) for r in ROWS), "utf-8")
    return path


@pytest.mark.parametrize("suffix", [".csv", ".json", ".jsonl", ".parquet"])
def test_every_format_gives_the_same_rows(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path, suffix)
    found = list(read_records(path))
    empty = "" if suffix == ".csv" else None
    assert [row for _, row in found] == [ROWS[0], {**ROWS[1], "note": empty}]
    second = f"{path}:3" if suffix == ".jsonl" else f"{path}: row 2"  # a blank line is between
    assert [where for where, _ in found][1] == second


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.jsonl", b"{}\n[1]", "a.jsonl:2: expected an object, received list"),
        ("a.jsonl", b"{}\n{", "a.jsonl:2: not JSON"),
        (
            "a.jsonl",
            b'{"a": "\xff"}',
            "a.jsonl: not UTF-8 (byte 7, line 1; in WINDOWS-1252 that byte is 'ÿ')",
        ),
        ("a.jsonl", b"[" * 100_000, "a.jsonl:1: not JSON"),
        ("a.json", b"{}", "expected an array of objects, received dict"),
        ("a.json", b"[{}, 3]", "row 2: expected an object, received int"),
        ("a.json", b"", "not JSON"),
        ("a.csv", b"a,b\n1,2\n1,2,3\n", "row 2: 3 fields, the header has 2"),
        ("a.csv", b"a,b\n1\n", "row 1: 1 fields, the header has 2"),
        ("a.csv", b'a,b\n1,2\n"1,2\n', "row 2: not CSV"),
        ("a.csv", b"a,a\n1,2\n", "names a column twice"),
        ("a.csv", b"a\n\xe9\n", "not UTF-8"),
        ("a.parquet", b"PAR1 is not enough", "not Parquet"),
        ("a.parquet", b"", "not Parquet"),
        ("a.xlsx", b"PK", "unknown format '.xlsx'; allowed: .csv, .json, .jsonl, .parquet, .tsv"),
        ("plain", b"", "unknown format '(no suffix)'"),
    ],
)
def test_what_is_no_table_is_told(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        list(read_records(path))
    assert says in str(caught.value)
    assert str(path) in str(caught.value)


def test_tabs_in_utf_16_as_spreadsheets_write_them(tmp_path: Path) -> None:
    for name in ("a.csv", "a.tsv", "a.TSV"):
        (tmp_path / name).write_text("id\tprompt\n1\tgröße\n", encoding="utf-16")
        assert [row for _, row in read_records(tmp_path / name)] == [{"id": "1", "prompt": "größe"}]


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such file"):
        list(read_records(tmp_path / "none.csv"))


def test_whole_numbers_stay_whole_beside_empty_cells(tmp_path: Path) -> None:
    # pandas makes 1.0 of them, and an id or an answer would change.
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"id": [1, None]}), tmp_path / "a.parquet")
    assert [row["id"] for _, row in read_records(tmp_path / "a.parquet")] == [1, None]


def test_a_field_may_be_long(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a\n" + "x" * 200_000 + "\n")
    assert [len(row["a"]) for _, row in read_records(tmp_path / "a.csv")] == [200_000]
