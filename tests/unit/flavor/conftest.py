from __future__ import annotations

from pathlib import Path

import mlflow
import pytest
from versions import log_version

from llmops import flavor
from llmops.records import BaseModel, ModelVersion


@pytest.fixture
def base(store: str, tiny_model: Path) -> BaseModel:
    return flavor.add_base(tiny_model, "tiny")


@pytest.fixture
def version(base: BaseModel, tiny_adapter: Path) -> ModelVersion:
    with mlflow.start_run():
        return log_version(tiny_adapter, base, "bot", alias="champion", params={"rank": 4})
