"""What `log_model` takes, and what it refuses before anything is written."""

from __future__ import annotations

import inspect
import shutil
from dataclasses import fields
from pathlib import Path

import mlflow
import pytest
from versions import log_version, logged_models, registered

from llmops import flavor
from llmops.errors import ConfigError, IntegrityError, NotFoundError
from llmops.flavor.options import LogOptions, SaveOptions, SourceOptions
from llmops.records import BaseModel
from llmops.store import registry


@pytest.mark.parametrize("name", ["a/b", "a:b", "a b", "", "ünsafe", "-x", "x" * 129])
def test_illegal_model_names_register_nothing(
    base: BaseModel, tiny_adapter: Path, name: str
) -> None:
    with pytest.raises(ConfigError, match="letters, digits"), mlflow.start_run():
        log_version(tiny_adapter, base, name)
    assert registered() == ["tiny/1"]
    assert len(logged_models()) == 1


def test_a_broken_adapter_is_refused_before_anything_is_written(
    base: BaseModel, tiny_adapter: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(tiny_adapter, broken)
    weights = broken / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(IntegrityError, match="damaged safetensors"):
        log_version(broken, base, "bot")
    weights.unlink()
    with pytest.raises(NotFoundError, match=r"no adapter_model\.safetensors"):
        log_version(broken, base, "bot")
    assert registered() == ["tiny/1"]


def test_the_signature_is_the_one_that_mlflow_s_flavors_have() -> None:
    found = inspect.signature(flavor.log_model).parameters
    options = {f.name for kind in (SourceOptions, LogOptions) for f in fields(kind)}
    assert set(found) == (options - {"save", "version_tags"}) | {"model", "options"}
    keyword_only = [name for name, p in found.items() if p.kind is p.KEYWORD_ONLY]
    assert list(found)[:2] == ["model", "name"]
    assert len(keyword_only) == len(found) - 3
    mlflow_s = set(inspect.signature(mlflow.pyfunc.log_model).parameters)
    assert set(SaveOptions.__annotations__) <= mlflow_s | {"validate_serving_input"}


def test_a_logged_model_carries_each_setting_once(base: BaseModel, tiny_adapter: Path) -> None:
    with mlflow.start_run():
        mlflow.log_params({"lora_rank": 4, "seed": 1})
        info = flavor.log_model(str(tiny_adapter), "mine", base=base, params={"note": "x"})
    (logged,) = [m for m in logged_models() if m.model_id == info.model_id]
    assert logged.params == {"lora_rank": "4", "seed": "1", "note": "x"}
    assert info.registered_model_version is None
    assert logged.name == "mine"
    assert registered() == ["tiny/1"], "without a name nothing is registered"


def test_the_version_that_was_registered_is_on_the_info(
    base: BaseModel, tiny_adapter: Path
) -> None:
    options = {"base": base, "registered_model_name": "bot", "alias": "challenger"}
    info = flavor.log_model(str(tiny_adapter), **options)
    assert info.registered_model_version == 1
    assert registry.version_of_alias("bot", "challenger") == "1"
