"""What a version is judged on: a file, or the test split of its training run."""

from __future__ import annotations

from pathlib import Path

import pytest
from trained import another_adapter, log_trained, suite_file

from llmops.errors import LlmopsError
from llmops.judging.held_out import held_out
from llmops.records import ModelVersion


@pytest.fixture
def candidate(version: ModelVersion, tiny_model: Path, tmp_path: Path) -> ModelVersion:
    return log_trained(another_adapter(tiny_model, tmp_path))


def test_a_file_comes_before_the_split_of_the_training_run(
    candidate: ModelVersion, tmp_path: Path
) -> None:
    with held_out(candidate.uri, None, "bot") as (files, prompts):
        assert (files.uri, prompts.name) == (candidate.uri, "bot-test")
    path = suite_file(tmp_path / "mine.jsonl")
    with held_out(candidate.uri, path, "bot") as (_, prompts):
        assert prompts.name == "mine"


def test_a_wrong_file_is_found_before_the_version_is_resolved() -> None:
    with (
        pytest.raises(LlmopsError, match=r"nowhere\.jsonl"),
        held_out("models:/x/1", "nowhere.jsonl", "x"),
    ):
        pass
