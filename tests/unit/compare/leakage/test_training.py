"""The texts that a training run kept, and runs that kept none of ours."""

from __future__ import annotations

import json
from pathlib import Path

import mlflow
import pytest
from trained import log_trained

from llmops.compare.leakage.training import TrainingTexts, training_texts
from llmops.errors import StoreError
from llmops.models.resolve import resolve
from llmops.records import BaseModel, ModelFiles, ModelVersion

LONG = "An answer that is long enough to hold a whole prompt."


def kept(adapter: Path, content: str | None) -> ModelFiles:
    """A version whose run has this training split."""
    splits = {} if content is None else {"data/train.jsonl": content}
    return resolve(log_trained(adapter, "kept", splits).uri)


def test_prompts_and_long_completions_are_kept_apart(base: BaseModel, tiny_adapter: Path) -> None:
    rows = [
        {"id": "1", "prompt": "What is a pin?", "completion": "yes", "group": "a"},
        {"id": "2", "prompt": "And\u2028two lines?", "completion": LONG, "group": "b"},
        {"id": "3", "prompt": "No answer?"},
    ]
    content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    assert training_texts(kept(tiny_adapter, content)) == TrainingTexts(
        ("What is a pin?", "And\u2028two lines?", "No answer?"), (LONG,)
    )


@pytest.mark.parametrize(
    "content", [None, "no JSON", '{"text": "a"}\n', "[1]\n", '{"prompt": 1, "completion": 2}\n']
)
def test_a_version_that_kept_no_split_of_ours_says_nothing(
    base: BaseModel, tiny_adapter: Path, content: str | None
) -> None:
    assert training_texts(kept(tiny_adapter, content)) is None


def test_neither_a_bare_base_nor_a_missing_run_says_anything(
    base: BaseModel, version: ModelVersion
) -> None:
    assert training_texts(ModelFiles("base", base.uri, base, None, None, None)) is None
    gone = ModelFiles("v1", version.uri, base, None, None, None, run_id="f" * 32)
    assert training_texts(gone) is None


def test_a_store_that_refuses_is_an_error(
    version: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.exceptions import MlflowException

    def refuse(*_: object) -> None:
        raise MlflowException("down")

    files = resolve(version.uri)
    monkeypatch.setattr(mlflow.MlflowClient, "list_artifacts", refuse)
    with pytest.raises(StoreError, match="down"):
        training_texts(files)
