"""A saved directory is what a version is, and appears whole or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path

import mlflow
import pytest
from versions import logged_models, registered

from llmops import flavor
from llmops.errors import LlmopsError, UsageError
from llmops.models import adapters, pin
from llmops.models.resolve import of_model_dir
from llmops.records import BaseModel, ModelVersion


def test_a_saved_adapter_is_the_logged_one(
    version: ModelVersion, base: BaseModel, tiny_adapter: Path, tmp_path: Path
) -> None:
    flavor.save_model(tiny_adapter, tmp_path / "saved", base=base)
    assert pin.read(tmp_path / "saved").adapter_digest == version.adapter_digest
    assert of_model_dir(tmp_path / "saved").base == base
    assert registered() == ["bot/1", "tiny/1"], "nothing is registered"
    assert len(logged_models()) == 2


def test_an_empty_directory_may_be_there_and_a_full_one_not(
    base: BaseModel, tiny_adapter: Path, tmp_path: Path
) -> None:
    target = tmp_path / "saved"
    target.mkdir()
    flavor.save_model(tiny_adapter, target, base=base)
    before = sorted(target.rglob("*"))
    with pytest.raises(UsageError, match="exists and is not an empty directory"):
        flavor.save_model(tiny_adapter, target, base=base)
    assert sorted(target.rglob("*")) == before


def test_a_failure_leaves_nothing(base: BaseModel, tiny_adapter: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(tiny_adapter, tmp_path / "broken"))
    (broken / adapters.WEIGHTS).write_bytes(b"short")
    with pytest.raises(LlmopsError, match="damaged safetensors"):
        flavor.save_model(broken, tmp_path / "saved", base=base)
    with pytest.raises(UsageError, match="unknown argument surprise"):
        flavor.save_model(tiny_adapter, tmp_path / "saved", base=base, surprise=1)
    assert {path.name for path in tmp_path.glob("*saved*")} == set()


def test_the_caller_s_own_mlflow_model_is_filled_in(
    base: BaseModel, tiny_adapter: Path, tmp_path: Path
) -> None:
    model = mlflow.models.Model()
    flavor.save_model(
        tiny_adapter, tmp_path / "saved", base=base, mlflow_model=model, metadata={"team": "docs"}
    )
    assert {"llmops", "python_function"} <= set(model.flavors)
    assert model.metadata == {"team": "docs"}
    assert mlflow.models.Model.load(str(tmp_path / "saved")).metadata == {"team": "docs"}
