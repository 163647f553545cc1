from __future__ import annotations

from pathlib import Path

import mlflow
import pytest
from trained import another_adapter
from versions import log_version

from llmops.records import ModelVersion


@pytest.fixture
def challenger(version: ModelVersion, tiny_model: Path, tmp_path: Path) -> ModelVersion:
    """Version 2 beside the champion, version 1; nobody has judged it."""
    with mlflow.start_run():
        adapter = another_adapter(tiny_model, tmp_path, seed=5)
        return log_version(adapter, "tiny", "bot", alias="challenger")


@pytest.fixture
def third(challenger: ModelVersion, tiny_model: Path, tmp_path: Path) -> ModelVersion:
    with mlflow.start_run():
        return log_version(another_adapter(tiny_model, tmp_path, seed=6), "tiny", "bot")
