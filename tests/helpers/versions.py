"""Registered versions for tests that need one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import pytest
from safetensors.numpy import load_file

from llmops import flavor
from llmops.errors import LlmopsError
from llmops.models import adapters, versions
from llmops.records import BaseModel, ModelVersion
from llmops.store import connection


def log_version(
    model: Any, base: BaseModel | str | None, name: str, **options: Any
) -> ModelVersion:
    """Logs a model and registers it as a new version of ``name``."""
    if isinstance(model, Path):
        model = str(model)
    info = flavor.log_model(model, base=base, registered_model_name=name, **options)
    return versions.get_version(name, str(info.registered_model_version))


def registered() -> list[str]:
    return sorted(f"{v.name}/{v.version}" for v in connection.client().search_model_versions(""))


def logged_models() -> list[Any]:
    experiment = mlflow.get_experiment_by_name("tests")
    return list(connection.client().search_logged_models(experiment_ids=[experiment.experiment_id]))


def refused_to_log(adapter: Path, base: BaseModel, error: type[LlmopsError], says: str) -> None:
    """Asserts that an adapter cannot be logged, and that nothing of it was registered."""
    with pytest.raises(error, match=says):
        log_version(adapter, base, "bot")
    assert registered() == ["tiny/1"]


def tensors_of(adapter: Path) -> tuple[Path, dict[str, Any]]:
    file = adapter / adapters.WEIGHTS
    return file, load_file(file)
