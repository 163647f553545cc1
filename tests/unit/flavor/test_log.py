"""What `log_model` refuses before anything is written."""

from __future__ import annotations

import shutil
from pathlib import Path

import mlflow
import pytest
from versions import log_version, logged_models, registered

from llmops.errors import ConfigError, IntegrityError, NotFoundError
from llmops.records import BaseModel


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
