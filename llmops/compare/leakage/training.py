"""The texts a version was trained on, as its training run kept them."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from llmops.files import jsonl
from llmops.records import ModelFiles
from llmops.store import artifacts
from llmops.store.connection import client, store_errors
from llmops.store.tags import DATA_FOLDER, TRAIN_SPLIT

LABEL = 40
"""A completion of fewer characters is a label or a word, not a text that a prompt could be."""


@dataclass(frozen=True)
class TrainingTexts:
    """What a version was trained on.

    Attributes:
        prompts: Every prompt of the training split.
        completions: Those completions that are long enough to hold a prompt.
    """

    prompts: tuple[str, ...]
    completions: tuple[str, ...] = ()


def training_texts(files: ModelFiles) -> TrainingTexts | None:
    """Download the texts that a version was trained on.

    Returns:
        ``None`` if its run kept no training split: it is a bare base, or was trained elsewhere.

    Raises:
        StoreError: The store refuses or does not answer.
    """
    if files.run_id is None or TRAIN_SPLIT not in _logged(files.run_id):
        return None
    with tempfile.TemporaryDirectory(prefix="llmops-") as folder:
        path = artifacts.download(f"runs:/{files.run_id}/{TRAIN_SPLIT}", folder)
        try:
            rows = jsonl.read(Path(path))
            prompts = tuple(str(row["prompt"]) for row in rows)
            completions = [row.get("completion", "") for row in rows]
            return TrainingTexts(prompts, tuple(str(c) for c in completions if len(c) >= LABEL))
        except (ValueError, KeyError, TypeError):
            return None  # somebody else's file of this name


def _logged(run_id: str) -> set[str]:
    """List a run's data files; none if the run is absent, as with a version copied between stores."""
    from mlflow.exceptions import MlflowException

    with store_errors(f"listing run {run_id}"):
        try:
            return {entry.path for entry in client().list_artifacts(run_id, DATA_FOLDER)}
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return set()
