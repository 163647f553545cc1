"""One answer for gate and compare: which prompts a version was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from trained import HELD_OUT, TRAINED, another_adapter, log_trained

from llmops.compare.leakage.trained_on import TrainedOn, check_sides, trained_on
from llmops.models.resolve import resolve
from llmops.records import BaseModel, Example, ModelFiles, RemoteModel, Suite
from llmops.store import artifacts


def suite_of(*prompts: str | Sequence[str]) -> Suite:
    """A suite of single prompts, and of conversations: turns of both in order."""
    examples = []
    for i, prompt in enumerate(prompts):
        turns = [prompt] if isinstance(prompt, str) else prompt
        roles = ("user", "assistant")
        messages = tuple({"role": roles[k % 2], "content": t} for k, t in enumerate(turns))
        examples.append(Example(f"q{i}", messages, None, f"q{i}"))
    return Suite("suite", None, "0" * 64, tuple(examples))


@pytest.fixture
def trained(base: BaseModel, tiny_adapter: Path) -> ModelFiles:
    return resolve(log_trained(tiny_adapter).uri)


def test_the_same_characters_and_the_same_words_are_found(trained: ModelFiles) -> None:
    suite = suite_of(HELD_OUT[0], TRAINED[0], f"\n {TRAINED[1]} ", TRAINED[2].upper())
    found = trained_on(trained, suite)
    assert list(found.leaks or {}) == ["q1", "q2", "q3"]
    assert {leak.kind for leak in (found.leaks or {}).values()} == {"duplicate"}
    assert found.uri == trained.uri


def test_a_short_last_turn_says_nothing_of_a_conversation(
    base: BaseModel, tiny_adapter: Path
) -> None:
    splits = {"data/train.jsonl": '{"prompt": "And then?", "completion": "x"}\n'}
    side = resolve(log_trained(tiny_adapter, splits=splits).uri)
    found = trained_on(side, suite_of([HELD_OUT[0], "Yes.", "And then?"], "And then?"))
    assert list(found.leaks or {}) == ["q1"]


def test_a_version_without_training_data_is_not_checked(
    base: BaseModel, tiny_adapter: Path
) -> None:
    side = resolve(log_trained(tiny_adapter, splits={}).uri)
    assert trained_on(side, suite_of(TRAINED[0])) == TrainedOn(side.uri, None)


def test_each_version_is_downloaded_once_and_others_not_at_all(
    trained: ModelFiles, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = resolve(log_trained(another_adapter(tiny_model, tmp_path), "other").uri)
    base = resolve("tiny")
    remote = RemoteModel("m", "openai:http://127.0.0.1:9/v1#m", "d" * 64)
    asked: list[str] = []
    real = artifacts.download
    monkeypatch.setattr(
        artifacts, "download", lambda uri, folder: asked.append(uri) or real(uri, folder)
    )
    found = check_sides([base, trained, trained, remote, other], suite_of(TRAINED[0]))
    assert list(found) == [trained.digest, other.digest]
    assert asked == [f"runs:/{side.run_id}/data/train.jsonl" for side in (trained, other)]


def test_a_whole_model_that_was_trained_in_a_run_is_checked_too(trained: ModelFiles) -> None:
    whole = replace(trained, adapter_dir=None, adapter_digest=None)
    (found,) = check_sides([whole], suite_of(TRAINED[0])).values()
    assert list(found.leaks or {}) == ["q0"]
