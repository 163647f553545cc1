from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tiny_models import build_tiny_model
from versions import registered

from llmops.errors import IntegrityError, UsageError
from llmops.files import staging
from llmops.flavor.collect import collect
from llmops.flavor.options import SourceOptions
from llmops.models import adapters
from llmops.records import BaseModel


def test_the_base_of_an_adapter_is_registered_and_the_adapter_is_not(
    store: str, tiny_model: Path, tiny_adapter: Path
) -> None:
    with staging.staging() as folder:
        source = collect(tiny_adapter, folder, SourceOptions(base=str(tiny_model)))
        assert source.base is not None
        assert (source.base.name, source.base.uri) == ("base", "models:/base/1")
        assert source.digest == adapters.content_digest(folder)
    assert registered() == ["base/1"]


def test_a_known_base_is_not_looked_for(
    base: BaseModel, tiny_adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////no/such/store.db")
    with staging.staging() as folder:
        assert collect(tiny_adapter, folder, SourceOptions(base=base)).base is base


def test_a_base_is_not_registered_for_an_adapter_that_is_damaged(
    store: str, tiny_model: Path, tiny_adapter: Path, tmp_path: Path
) -> None:
    broken = Path(shutil.copytree(tiny_adapter, tmp_path / "broken"))
    (broken / adapters.WEIGHTS).write_bytes(b"short")
    with staging.staging() as folder, pytest.raises(IntegrityError):
        collect(broken, folder, SourceOptions(base=str(tiny_model)))
    with staging.staging() as folder, pytest.raises(UsageError, match="only an adapter has a base"):
        collect(tiny_model, folder, SourceOptions(base=str(tiny_model)))
    assert registered() == []


def test_a_base_of_another_shape_is_refused(store: str, tiny_adapter: Path, tmp_path: Path) -> None:
    larger = build_tiny_model(tmp_path / "larger", hidden_size=64)
    with (
        staging.staging() as folder,
        pytest.raises(IntegrityError, match="does not fit its base larger"),
    ):
        collect(tiny_adapter, folder, SourceOptions(base=str(larger)))
