from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmops.data import prepare, read_split
from llmops.data.sources.stdlib import stdlib_docstrings
from llmops.errors import DataError, NotFoundError
from llmops.recipe.schema import Data


def write_csv(
    path: Path, rows: list[tuple[str, ...]], header: str = "prompt,completion,user"
) -> Path:
    path.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n", encoding="utf-8")
    return path


def own_rows(count: int) -> list[tuple[str, ...]]:
    return [(f"question {i}", f"answer {i}", f"user {i % 7}") for i in range(count)]


def test_the_standard_library_has_several_hundred_pairs() -> None:
    rows = stdlib_docstrings()
    assert len(rows) > 450
    assert len({row["group"] for row in rows}) > 80
    assert all("\n" not in row["completion"] and row["completion"].endswith(".") for row in rows)
    assert not any(row["id"].rpartition(".")[2].startswith("_") for row in rows)


def test_splits_share_no_group_and_no_text(tmp_path: Path) -> None:
    prepared = prepare(Data(source="stdlib_docstrings"), tmp_path, name="q", seed=7)
    splits = [read_split(split) for split in prepared.splits]
    for column in ("group", "prompt", "completion"):
        values = [{row[column] for row in rows} for rows in splits]
        assert not values[0] & values[1]
        assert not values[0] & values[2]
        assert not values[1] & values[2]
    sizes = [split.rows for split in prepared.splits]
    assert abs(sizes[2] / sum(sizes) - 0.2) < 0.02
    assert abs(sizes[1] / sum(sizes) - 0.14) < 0.02


def test_same_seed_same_bytes_other_seed_other_split(tmp_path: Path) -> None:
    config = Data(source="stdlib_docstrings")
    first = prepare(config, tmp_path / "a", name="q", seed=7)
    again = prepare(config, tmp_path / "b", name="q", seed=7)
    other = prepare(config, tmp_path / "c", name="q", seed=8)
    assert first.digest == again.digest
    assert first.train.path.read_bytes() == again.train.path.read_bytes()
    assert first.digest != other.digest


def test_a_group_column_keeps_users_together(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "own.csv", own_rows(70))
    config = Data(path=path, group="user", test_fraction=0.3)
    prepared = prepare(config, tmp_path / "out", name="own", seed=1)
    users = [{row["group"] for row in read_split(split)} for split in prepared.splits]
    assert sum(len(group) for group in users) == 7
    assert prepared.test.rows == 20


@pytest.mark.parametrize("suffix", ["json", "jsonl", "parquet"])
def test_every_format_gives_the_same_rows(tmp_path: Path, suffix: str) -> None:
    import pandas as pd

    frame = pd.DataFrame(
        {"question": [f"q {i}" for i in range(20)], "answer": [f"a {i}" for i in range(20)]}
    )
    path = tmp_path / f"own.{suffix}"
    if suffix == "parquet":
        frame.to_parquet(path)
    else:
        frame.to_json(path, orient="records", lines=suffix == "jsonl")
    prepared = prepare(
        Data(path=path, prompt="question", completion="answer"), tmp_path / "out", name="o", seed=1
    )
    assert sum(split.rows for split in prepared.splits) == 20


def test_limit_takes_that_many(tmp_path: Path) -> None:
    prepared = prepare(Data(source="stdlib_docstrings", limit=40), tmp_path, name="q", seed=7)
    assert sum(split.rows for split in prepared.splits) == 40


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "holds no rows"),
        (b"prompt,completion\n", "holds no rows"),
        (b"prompt,completion\nq,a\n", "1 distinct example(s), at least 10"),
        (b"question,completion\nq,a\n", "no column 'prompt'"),
        (b"prompt,completion\n" + b"q,a\n" * 30, "1 distinct example(s)"),
        (b"prompt,completion\nq,\n", "'completion' is empty in row 1"),
        (b"prompt,completion\nq\xff,a\n", "UTF-8"),
    ],
)
def test_unusable_files_are_named_with_the_reason(
    tmp_path: Path, content: bytes, says: str
) -> None:
    path = tmp_path / "own.csv"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        prepare(Data(path=path), tmp_path / "out", name="own", seed=1)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)


def test_fields_beyond_the_header_are_refused(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "own.csv", [(f"p{i}", f"a{i}", f"x{i}") for i in range(20)], "q,a")
    with pytest.raises(DataError, match="row 1: 3 fields, the header has 2"):
        prepare(Data(path=path, prompt="q", completion="a"), tmp_path / "out", name="o", seed=1)


def test_unicode_line_separators_stay_inside_their_row(tmp_path: Path) -> None:
    # str.splitlines() splits at these, json.dumps leaves them as they are.
    from llmops.compare import load_suite

    rows = [{"prompt": f"a\u2028b\x85 {i}", "completion": f"c\u2029 {i}"} for i in range(20)]
    path = tmp_path / "own.jsonl"
    path.write_text(
        "\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8"
    )
    prepared = prepare(Data(path=path), tmp_path / "out", name="o", seed=1)
    read = [row for split in prepared.splits for row in read_split(split)]
    assert {row["prompt"] for row in read} == {row["prompt"] for row in rows}
    assert len(load_suite(prepared.test.path).examples) == prepared.test.rows


def test_a_missing_file_and_an_unknown_format(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such file"):
        prepare(Data(path=tmp_path / "none.csv"), tmp_path, name="own", seed=1)
    (tmp_path / "own.xlsx").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"allowed: \.csv"):
        prepare(Data(path=tmp_path / "own.xlsx"), tmp_path, name="own", seed=1)


def test_repeated_ids_are_refused(tmp_path: Path) -> None:
    rows = [{"id": i % 15, "prompt": f"q {i}", "completion": f"a {i}"} for i in range(20)]
    path = tmp_path / "own.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(DataError, match="id '0' occurs more than once"):
        prepare(Data(path=path), tmp_path / "out", name="own", seed=1)


def test_one_group_cannot_be_split(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "own.csv", [(f"q {i}", f"a {i}", "one") for i in range(20)])
    with pytest.raises(DataError, match=r"1 group\(s\) leave the validation split empty"):
        prepare(Data(path=path, group="user"), tmp_path / "out", name="own", seed=1)
