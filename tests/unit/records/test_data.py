from __future__ import annotations

from pathlib import Path

from llmops.records import DataSplit, DataSummary, PreparedData


def test_the_splits_come_in_the_order_of_their_use() -> None:
    train, validation, test = (
        DataSplit(name, Path(f"{name}.jsonl"), "00", 1) for name in ("train", "validation", "test")
    )
    data = PreparedData(
        "docs",
        "docs.csv",
        test=test,
        train=train,
        validation=validation,
        digest="",
        summary=DataSummary(3),
    )
    assert [split.name for split in data.splits] == ["train", "validation", "test"]
