"""The training texts of a version, from the split that its training run kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmops.files import jsonl
from llmops.files.staging import staging
from llmops.records import ModelFiles
from llmops.store import artifacts
from llmops.store.connection import client, store_errors
from llmops.store.tags import DATA_FOLDER, TRAIN_SPLIT

LABEL = 40
"""Characters below which a completion is a label or a word, too short to contain a prompt."""


@dataclass(frozen=True)
class TrainingTexts:
    """Prompts and completions that a version was trained on.

    Attributes:
        prompts: Every prompt of the training split.
        completions: The completions that are long enough to contain a prompt.
    """

    prompts: tuple[str, ...]
    completions: tuple[str, ...] = ()


def training_texts(files: ModelFiles) -> TrainingTexts | None:
    """Download the texts that a version was trained on.

    Returns:
        ``None`` if its run kept no training split: a bare base, or a version trained elsewhere.

    Raises:
        StoreError: The store refuses or does not answer.
    """
    if files.run_id is None or TRAIN_SPLIT not in _logged(files.run_id):
        return None
    with staging() as folder:
        path = artifacts.download(f"runs:/{files.run_id}/{TRAIN_SPLIT}", str(folder))
        try:
            rows = jsonl.read(Path(path))
            prompts = tuple(_prompt(row) for row in rows)
            completions = [row.get("completion", "") for row in rows]
            return TrainingTexts(prompts, tuple(str(c) for c in completions if len(c) >= LABEL))
        except (ValueError, KeyError, TypeError):
            return None  # a file of this name in another format


def _prompt(row: Mapping[str, Any]) -> str:
    """Return what is asked: the turns of user and assistant, as ``detect`` reads those of a suite."""
    if "messages" not in row:
        return str(row["prompt"])
    return "\n".join(turn["content"] for turn in row["messages"] if turn["role"] != "system")


def _logged(run_id: str) -> set[str]:
    """Return the data files of a run; none if it is not in this store, as after copying a version."""
    from mlflow.exceptions import MlflowException

    with store_errors(f"listing run {run_id}"):
        try:
            return {entry.path for entry in client().list_artifacts(run_id, DATA_FOLDER)}
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return set()
