"""The command line for tests of every verb, and a version beside the champion."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pytest
from command_line import Command, command_line
from trained import another_adapter
from versions import log_version

from llmops.records import ModelVersion


@pytest.fixture
def llmops(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return command_line(monkeypatch, capsys)


@pytest.fixture
def another(version: ModelVersion, tiny_model: Path, tmp_path: Path) -> ModelVersion:
    """Version 2 beside the champion, version 1; nobody has judged it."""
    with mlflow.start_run():
        return log_version(another_adapter(tiny_model, tmp_path, seed=5), "tiny", "bot")
