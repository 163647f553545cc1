"""The file that humans fill in: what they see, and what may come back."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from labelled import compared, fill, human

from llmops.compare.labels.draw import Drawn, draw
from llmops.compare.labels.sheet import COLUMNS, read_sheet, require_format, write_sheet
from llmops.errors import DataError, LlmopsError, NotFoundError, UsageError

DRAWN = draw(compared(), 60)


def records(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def changed(path: Path, change: Callable[[list[dict[str, str]]], object]) -> Path:
    """The filled file after someone changed its rows."""
    write_sheet(DRAWN, path)
    fill(path, human())
    rows = records(path)
    change(rows)
    with path.open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, list(rows[0]) if rows else list(COLUMNS))
        table.writeheader()
        table.writerows(rows)
    return path


def with_text(drawn: Drawn, text: str) -> Drawn:
    row = drawn.row
    return replace(drawn, row=replace(row, candidate=replace(row.candidate, text=text)))


def test_a_row_shows_prompt_and_answers_and_not_whose_they_are(tmp_path: Path) -> None:
    write_sheet(DRAWN, tmp_path / "a.csv")
    rows = records(tmp_path / "a.csv")
    assert tuple(rows[0]) == COLUMNS
    for row, one in zip(rows, DRAWN, strict=True):
        assert (row["answer_one"], row["answer_two"]) == one.answers
        assert row["id"] == one.row.example.id
        assert row["prompt"] == one.row.example.messages[0]["content"]
        assert row["preference"] == ("tie" if one.answers[0] == one.answers[1] else "")
    assert rows[16]["row"] == "17 of 60"
    text = (tmp_path / "a.csv").read_text(encoding="utf-8")
    assert "v2" not in text
    assert "v3" not in text


@pytest.mark.parametrize("name", ["a.csv", "a.JSONL"])
def test_what_is_filled_in_comes_back(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    odd = 'says "yes", ü\nsecond line'
    write_sheet([with_text(DRAWN[0], odd), *DRAWN[1:]], path)
    text = path.read_text(encoding="utf-8").replace('"preference": ""', '"preference": " TWO "')
    path.write_text(text, encoding="utf-8")
    if name == "a.csv":
        fill(path, lambda one, two: "Two")
    found = read_sheet(path)
    assert list(found) == [one.key for one in DRAWN]
    assert found[DRAWN[5].key].preference in ("two", "tie")
    assert found[DRAWN[5].key].row == "6 of 60"


def test_a_spreadsheet_computes_no_answer(tmp_path: Path) -> None:
    formula = '=HYPERLINK("http://evil")'
    write_sheet([with_text(one, formula) for one in DRAWN], tmp_path / "a.csv")
    cells = [cell for row in records(tmp_path / "a.csv") for cell in row.values()]
    assert f"'{formula}" in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]


def test_a_conversation_is_shown_whole(tmp_path: Path) -> None:
    turns = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"})
    row = DRAWN[0].row
    long = replace(DRAWN[0], row=replace(row, example=replace(row.example, messages=turns)))
    write_sheet([long], tmp_path / "a.csv")
    assert records(tmp_path / "a.csv")[0]["prompt"] == "system: Be brief.\n\nuser: Why?"


def test_rows_without_a_preference_are_counted(tmp_path: Path) -> None:
    path = changed(tmp_path / "a.csv", lambda rows: [r.update(preference=" ") for r in rows[3:10]])
    with pytest.raises(DataError, match="7 of 60 rows have no preference") as refused:
        read_sheet(path)
    assert "row 4" in refused.value.message
    assert refused.value.next_command == "write one, two or tie in the column `preference`"
    with pytest.raises(DataError, match="0 of 0 rows"):
        read_sheet(changed(tmp_path / "b.csv", list.clear))


@pytest.mark.parametrize(("said", "meant"), [("A", ""), ("1", ""), ("ones", "did you mean one?")])
def test_a_preference_that_is_none_is_refused(tmp_path: Path, said: str, meant: str) -> None:
    path = changed(tmp_path / "a.csv", lambda rows: rows[2].update(preference=said))
    with pytest.raises(DataError, match=rf"row 3: preference '{said}'; allowed: one") as refused:
        read_sheet(path)
    assert refused.value.message.endswith(meant or "tie")


def test_a_prompt_counts_once(tmp_path: Path) -> None:
    path = changed(tmp_path / "a.csv", lambda rows: rows.append(rows[0]))
    with pytest.raises(DataError, match=r"row 61: key 'k\w+' \(id 'q\d+'\) is that of .*row 1"):
        read_sheet(path)


def test_a_file_of_another_shape_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("question,answer\nq1,one\n", encoding="utf-8")
    with pytest.raises(DataError, match="no column row, key, id, preference") as refused:
        read_sheet(path)
    assert "CSV with commas" in str(refused.value)
    with pytest.raises(NotFoundError, match="no such file"):
        read_sheet(tmp_path / "none.csv")
    (tmp_path / "b.jsonl").write_text(json.dumps({"id": 1}) + "\n")
    with pytest.raises(DataError, match="no column"):
        read_sheet(tmp_path / "b.jsonl")


def test_formats_and_places(tmp_path: Path) -> None:
    require_format(Path("labels.CSV"))
    for name in ("labels.xlsx", "labels"):
        with pytest.raises(UsageError, match=r"allowed: \.csv, \.jsonl"):
            write_sheet(DRAWN, tmp_path / name)
    with pytest.raises(LlmopsError, match="cannot be written") as refused:
        write_sheet(DRAWN, tmp_path / "none" / "a.csv")
    assert "--labels" in str(refused.value.next_command)
