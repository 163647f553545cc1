"""The gate's suite: the test split of the training run, and no prompt of its training split."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from trained import HELD_OUT, log_trained

from llmops.compare.leakage.detect import Leak
from llmops.compare.leakage.heldout import download_test_split, refuse_verbatim
from llmops.compare.leakage.trained_on import TrainedOn
from llmops.errors import DataError, UsageError
from llmops.models.resolve import resolve
from llmops.records import BaseModel, Example, Suite

SUITE = Suite(
    "suite",
    Path("suite.jsonl"),
    "0" * 64,
    tuple(
        Example(f"q{i}", ({"role": "user", "content": str(i)},), None, f"q{i}") for i in range(9)
    ),
)
LEAKS = {f"q{i}": Leak("duplicate", 1.0) for i in range(5)}


def test_the_test_split_of_the_training_run(
    base: BaseModel, tiny_adapter: Path, tmp_path: Path
) -> None:
    side = resolve(log_trained(tiny_adapter).uri)
    path = download_test_split(side, tmp_path)
    assert path.is_relative_to(tmp_path)
    assert [json.loads(line)["prompt"] for line in path.read_text().splitlines()] == HELD_OUT


def test_a_run_that_kept_no_test_split_needs_a_suite(
    base: BaseModel, tiny_adapter: Path, tmp_path: Path
) -> None:
    side = resolve(log_trained(tiny_adapter, splits={}).uri)
    for one in (side, resolve("tiny")):
        with pytest.raises(UsageError, match=f"{one.uri}: its training run kept no test split") as (
            caught
        ):
            download_test_split(one, tmp_path)
        assert "--suite FILE" in (caught.value.next_command or "")


def test_prompts_of_the_training_data_refuse_the_suite() -> None:
    check = TrainedOn("models:/bot/1", LEAKS, ("q0", "q1", "q2", "q3"))
    with pytest.raises(DataError) as caught:
        refuse_verbatim([check], SUITE)
    assert str(caught.value).startswith(
        "suite suite.jsonl: 4 of 9 prompts are in the training data of models:/bot/1,"
        " such as 'q0', 'q1', 'q2'"
    )
    assert caught.value.exit_code == 2


def test_what_merely_overlaps_or_was_not_checked_refuses_nothing() -> None:
    refuse_verbatim([TrainedOn("models:/bot/1", LEAKS), TrainedOn("models:/bot/2", None)], SUITE)
