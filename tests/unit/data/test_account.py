"""No row is dropped silently."""

from __future__ import annotations

from pathlib import Path

from llmops.data.account import account
from llmops.records import DataSplit, DataSummary, PreparedData

SPLIT = DataSplit("train", Path("train.jsonl"), "0" * 64, 10)


def lines(**of: object) -> list[str]:
    summary = DataSummary(read=1_000, **of)  # type: ignore[arg-type]
    return account(PreparedData("own", "own.csv", SPLIT, SPLIT, SPLIT, "0" * 64, summary))


def test_where_nothing_happened_nothing_is_said() -> None:
    assert lines() == []
    assert lines(groups=950) == [], "nearly every row is a group of its own"


def test_everything_that_happened_is_said() -> None:
    assert lines(
        duplicates=15,
        contradictions=("row-2", "row-3", "row-5", "row-8"),
        leaked=("row-9",),
        unread=("input", "category"),
        labels=77,
        groups=100,
    ) == [
        "77 labels; every label of the test split is in the training split",
        "100 groups, each in one split",
        "dropped 15 of 1,000 examples whose prompt occurs before; 4 of them with another answer:"
        " row-2, row-3, row-5 and 1 more",
        "dropped 1 examples whose prompt is in the test file: row-9",
        "not read: input, category",
    ]


def test_labels_that_cannot_be_learnt_are_named() -> None:
    (line,) = lines(labels=15, unseen=("a", "b"))
    assert line == "15 labels; 2 labels of the test split have no training example: a, b"
