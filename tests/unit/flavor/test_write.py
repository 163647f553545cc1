"""What a version's directory holds."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import mlflow
import pytest

from llmops import flavor
from llmops.flavor import write
from llmops.records import BaseModel, LoadOptions, ModelVersion


def test_a_version_stores_the_adapter_and_not_the_base(
    version: ModelVersion, tiny_adapter: Path, tiny_model: Path
) -> None:
    folder = Path(mlflow.artifacts.download_artifacts(version.uri))
    stored = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {"MLmodel", "base.json", "adapter/adapter_model.safetensors"} <= stored
    assert not any(
        "model.safetensors" in Path(name).name and "adapter" not in name for name in stored
    )
    adapter = (tiny_adapter / "adapter_model.safetensors").read_bytes()
    assert (folder / "adapter/adapter_model.safetensors").read_bytes() == adapter
    assert str(tiny_model) not in "".join(p.read_text() for p in folder.rglob("*.json"))


def test_what_loads_it_is_pinned_to_exact_versions(version: ModelVersion) -> None:
    folder = Path(mlflow.artifacts.download_artifacts(version.uri))
    lines = (folder / "requirements.txt").read_text().split()
    assert f"mlflow=={mlflow.__version__}" in lines
    assert {line.partition("==")[0] for line in lines} == set(write.PYTHON_PACKAGES)
    assert not any("+" in line for line in lines), "an index has no torch==2.9.0+cpu"


def test_a_caller_may_override_every_load_option(version: ModelVersion) -> None:
    conf = mlflow.models.get_model_info(version.uri).flavors["python_function"]
    assert set(conf["config"]) == {field.name for field in fields(LoadOptions)}
    assert conf["loader_module"] == "llmops.flavor"
    assert conf["streamable"] is True


def test_options_of_every_flavor_reach_the_files(
    base: BaseModel, tiny_adapter: Path, tmp_path: Path
) -> None:
    flavor.save_model(
        tiny_adapter,
        tmp_path / "saved",
        base=base,
        pip_requirements=["torch"],
        extra_pip_requirements=["numpy>=1"],
        input_example=["Split a pathname."],
        model_config={"dtype": "float32"},
    )
    assert (tmp_path / "saved/requirements.txt").read_text() == "torch\nnumpy>=1\n"
    model = mlflow.models.Model.load(str(tmp_path / "saved"))
    assert model.saved_input_example_info is not None
    assert model.flavors["python_function"]["config"]["dtype"] == "float32"
    stored = sum(f.stat().st_size for f in (tmp_path / "saved").rglob("*") if f.is_file())
    assert 0 < model.model_size_bytes <= stored


def test_a_folder_takes_its_name_at_the_end_or_goes(tmp_path: Path) -> None:
    with write.whole(tmp_path / "model") as partial:
        (partial / "file").touch()
        assert not (tmp_path / "model").exists()
    assert [path.name for path in tmp_path.glob("*model*")] == ["model"]
    with pytest.raises(KeyError), write.whole(tmp_path / "other"):
        raise KeyError
    assert not list(tmp_path.glob("*other*"))
