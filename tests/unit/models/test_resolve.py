"""From a name to verified files: other bytes, and references that lead elsewhere, are refused."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import mlflow
import pytest
from damage import flip
from versions import log_version

from llmops import flavor
from llmops.errors import IntegrityError, NotFoundError
from llmops.models import adapters, bases
from llmops.models.resolve import resolve
from llmops.records import BaseModel, ModelVersion
from llmops.store import connection


def stored(version: ModelVersion) -> Path:
    """The version's files in the store, which is a local folder here."""
    return Path(mlflow.artifacts.download_artifacts(version.uri))


@pytest.mark.parametrize(
    "file", ["adapter/adapter_model.safetensors", "adapter/adapter_config.json", "base.json"]
)
@pytest.mark.parametrize("position", [9, -9])
def test_a_flipped_byte_of_a_version_is_refused(
    version: ModelVersion, file: str, position: int
) -> None:
    flip(stored(version) / file, position)
    with pytest.raises(IntegrityError, match=r"differs from the recorded|damaged|MLmodel recorded"):
        resolve(version.uri)
    with pytest.raises((IntegrityError, mlflow.MlflowException)):
        mlflow.pyfunc.load_model(version.uri)


@pytest.mark.parametrize(
    "file", ["model.safetensors", "tokenizer.json", "config.json", "chat_template.jinja"]
)
def test_a_flipped_byte_of_the_base_is_refused(
    version: ModelVersion, base: BaseModel, file: str
) -> None:
    flip(base.directory / file)
    with pytest.raises(IntegrityError, match=f"expected digest {base.digest[:16]}…, found"):
        resolve(version.uri)


def test_a_flipped_byte_of_the_base_in_the_registry_is_refused(
    version: ModelVersion, base: BaseModel
) -> None:
    shutil.rmtree(base.directory)
    artifact = Path(mlflow.artifacts.download_artifacts("models:/tiny/1"))
    flip(artifact / "model" / "model.safetensors")
    with pytest.raises(IntegrityError, match=f"expected digest {base.digest[:16]}"):
        resolve(version.uri)
    assert not base.directory.exists(), "what was refused is not kept"


def test_a_flipped_byte_of_the_versions_own_tokenizer_is_refused(
    base: BaseModel, tiny_model: Path, tiny_adapter: Path
) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.chat_template = "{{ messages[-1]['content'] }}"
    version = log_version(tiny_adapter, base, "bot", tokenizer=tokenizer)
    resolve(version.uri)
    (cached,) = Path(os.environ["LLMOPS_HOME"], "adapters").iterdir()
    flip(stored(version) / "tokenizer" / "chat_template.jinja", 3)
    shutil.rmtree(cached)
    with pytest.raises(IntegrityError, match="differs from the recorded"):
        resolve(version.uri)


@pytest.mark.parametrize("source", ["../../tiny", "/etc", "models:/../1"])
def test_a_base_reference_that_leads_elsewhere_is_refused(
    version: ModelVersion, source: str
) -> None:
    """Also if `MLmodel` was changed with it, so that both agree."""
    import yaml

    from llmops.files import digest

    folder = stored(version)
    pin = json.loads((folder / "base.json").read_text())
    text = json.dumps({**pin, "source": source})
    (folder / "base.json").write_text(text)
    mlmodel = yaml.safe_load((folder / "MLmodel").read_text())
    mlmodel["flavors"]["llmops"]["pin_digest"] = digest.of_bytes(text.encode())
    (folder / "MLmodel").write_text(yaml.safe_dump(mlmodel))
    with pytest.raises(
        IntegrityError, match=f"source is {source!r}; allowed: models:/NAME/VERSION"
    ):
        resolve(version.uri)


def test_a_link_out_of_a_model_directory_is_refused(version: ModelVersion, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(stored(version), tmp_path / "copy"))
    weights = folder / "adapter" / adapters.WEIGHTS
    weights.rename(tmp_path / "elsewhere.safetensors")
    weights.symlink_to(tmp_path / "elsewhere.safetensors")
    with pytest.raises(IntegrityError, match=r"a symbolic link to .*elsewhere\.safetensors"):
        flavor.load_model(str(folder))


def test_a_link_out_of_the_bases_of_the_user_is_refused(
    version: ModelVersion, base: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    moved = base.directory.rename(tmp_path / "elsewhere")
    (shelf / "base").symlink_to(moved)
    connection.client().delete_registered_model("tiny")
    monkeypatch.setenv("LLMOPS_BASES", str(shelf))
    with pytest.raises(IntegrityError, match=r"shelf/base: a symbolic link to .*elsewhere"):
        resolve(version.uri)


def test_a_base_that_is_gone_everywhere_ends_with_a_command(
    version: ModelVersion, base: BaseModel
) -> None:
    shutil.rmtree(base.directory)
    connection.client().delete_registered_model("tiny")
    with pytest.raises(NotFoundError, match="tiny") as caught:
        resolve(version.uri)
    assert "Next:" in str(caught.value)
    assert bases.cache_dir(base.digest) == base.directory
