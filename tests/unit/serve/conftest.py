"""The tiny model as files and as an engine; the long one never ends an answer by itself."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from llmops.engine.local.engine import LocalEngine
from llmops.files import digest
from llmops.records import BaseModel, ModelFiles


def files_of(base: Path, adapter: Path | None) -> ModelFiles:
    return ModelFiles(
        label="v3",
        uri="models:/bot/3",
        base=BaseModel("tiny", "models:/tiny/1", digest.of_model(base), base),
        adapter_dir=adapter,
        adapter_digest=None if adapter is None else digest.of_model(adapter),
        model_id=None,
    )


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.fixture(scope="session")
def files(tiny_model: Path, tiny_adapter: Path) -> ModelFiles:
    return files_of(tiny_model, tiny_adapter)


@pytest.fixture(scope="session")
def engine(files: ModelFiles) -> LocalEngine:
    return LocalEngine([files])


@pytest.fixture(scope="session")
def long_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("long") / "base"
    shutil.copytree(tiny_model, directory)
    settings = json.loads((directory / "config.json").read_text())
    edit(directory / "config.json", max_position_embeddings=32_768)
    edit(directory / "generation_config.json", suppress_tokens=[settings["eos_token_id"]])
    return directory


@pytest.fixture(scope="session")
def long_files(long_model: Path) -> ModelFiles:
    return files_of(long_model, None)


@pytest.fixture(scope="session")
def long_engine(long_files: ModelFiles) -> LocalEngine:
    return LocalEngine([long_files])
