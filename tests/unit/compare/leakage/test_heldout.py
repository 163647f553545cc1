"""The gate's suite, if none is named: the test split of the training run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from trained import HELD_OUT, log_trained

from llmops.compare.leakage.heldout import download_test_split
from llmops.errors import UsageError
from llmops.models.resolve import resolve
from llmops.records import BaseModel


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
