from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmops.data import prepare
from llmops.errors import DataError, NotFoundError
from llmops.files import jsonl
from llmops.recipe.schema import Data


def write_csv(
    path: Path, rows: list[tuple[str, ...]], header: str = "prompt,completion,user"
) -> Path:
    path.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n", encoding="utf-8")
    return path


def own_rows(count: int) -> list[tuple[str, ...]]:
    return [(f"question {i}", f"answer {i}", f"user {i % 7}") for i in range(count)]


def test_splits_share_no_group_and_no_text(tmp_path: Path) -> None:
    prepared = prepare(Data(source="stdlib_docstrings"), tmp_path, name="q", seed=7)
    splits = [jsonl.read(split.path) for split in prepared.splits]
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
    users = [{row["group"] for row in jsonl.read(split.path)} for split in prepared.splits]
    assert sum(len(group) for group in users) == 7
    assert prepared.test.rows == 20


def test_limit_takes_that_many(tmp_path: Path) -> None:
    prepared = prepare(Data(source="stdlib_docstrings", limit=40), tmp_path, name="q", seed=7)
    assert sum(split.rows for split in prepared.splits) == 40


def test_unicode_line_separators_stay_inside_their_row(tmp_path: Path) -> None:
    # str.splitlines() splits at these, json.dumps leaves them as they are.
    from llmops.compare import load_suite

    rows = [{"prompt": f"a\u2028b\x85 {i}", "completion": f"c\u2029 {i}"} for i in range(20)]
    path = tmp_path / "own.jsonl"
    path.write_text(
        "\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8"
    )
    prepared = prepare(Data(path=path), tmp_path / "out", name="o", seed=1)
    read = [row for split in prepared.splits for row in jsonl.read(split.path)]
    assert {row["prompt"] for row in read} == {row["prompt"] for row in rows}
    assert len(load_suite(prepared.test.path).examples) == prepared.test.rows


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


@pytest.mark.parametrize("rows", [1, 30])
def test_too_few_distinct_examples_are_refused(tmp_path: Path, rows: int) -> None:
    path = write_csv(tmp_path / "own.csv", [("q", "a", "u")] * rows)
    with pytest.raises(DataError, match=r"own.csv: 1 distinct example\(s\), at least 10"):
        prepare(Data(path=path), tmp_path / "out", name="own", seed=1)


def test_a_missing_file_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such file"):
        prepare(Data(path=tmp_path / "none.csv"), tmp_path / "out", name="own", seed=1)
    assert not (tmp_path / "out").exists()


def test_groups_that_share_a_text_take_the_name_of_the_earlier_text(tmp_path: Path) -> None:
    # The names decide the splits, so they are part of what a seed promises.
    groups = "abcdefghij"
    rows = [(f"question {i}", f"answer {i}", groups[i % 10]) for i in range(40)]
    rows += [("question 2", "other", "b"), ("question 40", "answer 0", "c"), ("new", "other", "z")]
    path = write_csv(tmp_path / "own.csv", rows)
    config = Data(path=path, group="user", test_fraction=0.3)
    prepared = prepare(config, tmp_path / "out", name="own", seed=1)
    group = {
        row["prompt"]: row["group"] for split in prepared.splits for row in jsonl.read(split.path)
    }
    joined = {group[f"question {i}"] for i in (0, 1, 2, 40)} | {group["new"]}
    assert joined == {"a"}
    assert set(group.values()) == {"a", *"defghij"}
