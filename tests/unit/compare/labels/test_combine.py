"""Labels that are not the drawn sample are refused; the others are combined."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from labelled import compared, fill, goodness, human
from report_records import BASE, side

from llmops.compare.labels.combine import human_labels
from llmops.compare.labels.draw import draw
from llmops.compare.labels.sheet import write_sheet
from llmops.errors import DataError
from llmops.records import Comparison
from llmops.stats import powered_mean

MADE = compared(300)
Rows = list[dict[str, str]]


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    path = tmp_path / "labels.csv"
    write_sheet(draw(MADE, 100), path)
    fill(path, human())
    return path


def edit(path: Path, change: Callable[[Rows], object]) -> None:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    change(rows)
    with path.open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


def refusal(made: Comparison, path: Path) -> str:
    with pytest.raises(DataError) as refused:
        human_labels(made, path)
    assert refused.value.next_command
    return refused.value.message


def test_labels_are_unblinded_and_combined_with_the_scores(filled: Path) -> None:
    found = human_labels(MADE, filled)
    drawn = {one.row.example.id for one in draw(MADE, 100)}
    sign = {  # this human never errs
        row.example.id: np.sign(goodness(row.candidate.text) - goodness(row.baseline.text))
        for row in MADE.rows
    }
    gain = {
        row.example.id: row.candidate_scores["token_f1"] - row.baseline_scores["token_f1"]
        for row in MADE.rows
    }
    order = [one.row.example.id for one in draw(MADE, 100)]
    expected = powered_mean(
        [sign[i] for i in order],
        [gain[i] for i in order],
        [gain[i] for i in gain if i not in drawn],
    )
    assert (found.difference, found.low, found.high) == pytest.approx(
        (expected.difference, expected.low, expected.high)
    )
    assert found.alone == pytest.approx(np.mean([sign[i] for i in order]))
    assert (found.labels, found.prompts, found.metric) == (100, 300, "token_f1")
    assert (found.wins, found.ties, found.losses) == tuple(
        sum(sign[i] == value for i in order) for value in (1, 0, -1)
    )
    assert found.effective > 150
    assert found.correlation > 0.8


def test_rows_may_be_sorted_and_numbers_rewritten_by_a_spreadsheet(tmp_path: Path) -> None:
    rows = [
        replace(row, example=replace(row.example, id=f"{i:012d}"))
        for i, row in enumerate(MADE.rows)
    ]
    made, path = replace(MADE, rows=tuple(rows)), tmp_path / "labels.csv"
    write_sheet(draw(made, 100), path)
    fill(path, human())
    expected = human_labels(made, path)
    edit(path, lambda rows: [row.update(id=str(int(row["id"]))) for row in rows])
    edit(path, lambda rows: rows.sort(key=lambda row: row["prompt"]))
    assert human_labels(made, path) == expected


def test_clusters_widen_the_interval(tmp_path: Path) -> None:
    made, path = compared(300, cluster=5), tmp_path / "labels.csv"
    write_sheet(draw(made, 100), path)
    fill(path, human())
    found = human_labels(made, path)
    apart = replace(
        made,
        rows=tuple(
            replace(row, example=replace(row.example, cluster=row.example.id)) for row in made.rows
        ),
    )
    assert human_labels(apart, path).low != found.low


def test_a_file_that_was_not_drawn_for_this_is_refused(filled: Path) -> None:
    moved = replace(side("v3"), base=replace(BASE, digest="11" * 32))
    for change in ({"suite_digest": "aa" * 32}, {"baseline": side("base")}, {"candidate": moved}):
        assert "no row was drawn for this comparison" in refusal(replace(MADE, **change), filled)
    longer = [
        replace(row, candidate=replace(row.candidate, text=f"{row.candidate.text} more"))
        for row in MADE.rows
    ]
    assert "or answers differ" in refusal(replace(MADE, rows=tuple(longer)), filled)


def test_rows_that_were_added_or_removed_are_refused(filled: Path) -> None:
    edit(filled, lambda rows: rows.append({**rows[0], "key": "k0", "id": "q7"}))
    assert "id 'q7' is not in the sample that was drawn (1 such rows)" in refusal(MADE, filled)
    edit(filled, lambda rows: rows.pop())
    edit(filled, lambda rows: [rows.pop() for _ in range(3)])
    assert "3 of 100 drawn prompts are missing" in refusal(MADE, filled)
    edit(filled, lambda rows: [row.update(row=f"{i} of 97") for i, row in enumerate(rows, 1)])
    assert "no row was drawn" in refusal(MADE, filled), "a smaller sample was never drawn"


def test_columns_that_were_sorted_apart_are_refused(filled: Path) -> None:
    def shift(rows: Rows) -> None:
        ids = [row["id"] for row in rows]
        for row, other in zip(rows, [*ids[1:], ids[0]], strict=True):
            row["id"] = other

    edit(filled, shift)
    assert "columns were sorted or pasted apart" in refusal(MADE, filled)


@pytest.mark.parametrize("said", ["", "17", "17/100", "17 of 1e9"])
def test_the_size_of_the_sample_is_read_from_the_file(filled: Path, said: str) -> None:
    edit(filled, lambda rows: rows[0].update(row=said))
    assert "such as '17 of 100'" in refusal(MADE, filled)
