"""Adapters at rest: what is no whole, safe adapter is refused, and nothing is registered."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import mlflow
import pytest
from damage import flip
from safetensors.numpy import save_file
from versions import refused_to_log, tensors_of

from llmops.errors import IntegrityError, UsageError
from llmops.models import adapters
from llmops.models.resolve import resolve
from llmops.records import BaseModel, ModelVersion


@pytest.mark.parametrize("damage", ["flipped", "older layout"])
def test_a_damaged_copy_in_the_cache_is_fetched_again(
    version: ModelVersion, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    resolve(version.uri)
    (cached,) = Path(os.environ["LLMOPS_HOME"], "adapters").iterdir()
    if damage == "flipped":
        flip(cached / "adapter" / adapters.WEIGHTS)
    else:  # 0.1 laid the files directly into the folder
        for file in list((cached / "adapter").iterdir()):
            file.rename(cached / file.name)
        (cached / "adapter").rmdir()
    folder = resolve(version.uri).adapter_dir
    assert folder is not None
    assert adapters.content_digest(folder.parent) == cached.name
    assert f"downloading {version.uri} again" in capsys.readouterr().err


def test_weights_that_are_not_numbers_are_refused(adapter: Path, base: BaseModel) -> None:
    file, tensors = tensors_of(adapter)
    name = sorted(tensors)[2]
    tensors[name][0, 0] = float("nan")
    save_file(tensors, file, metadata={"format": "pt"})
    refused_to_log(adapter, base, IntegrityError, f"{name} holds NaN or infinite weights")


def test_a_pickled_adapter_is_refused(adapter: Path, base: BaseModel) -> None:
    (adapter / adapters.WEIGHTS).rename(adapter / "adapter_model.bin")
    refused_to_log(adapter, base, UsageError, r"adapter_model\.bin may hold pickled code")


def test_a_header_longer_than_its_file_is_refused(adapter: Path, base: BaseModel) -> None:
    file = adapter / adapters.WEIGHTS
    file.write_bytes(struct.pack("<Q", 1 << 50) + file.read_bytes()[8:])
    refused_to_log(
        adapter, base, IntegrityError, r"adapter_model\.safetensors: damaged safetensors"
    )


def test_an_adapter_is_verified_in_the_store_whatever_is_cached(version: ModelVersion) -> None:
    assert version.adapter_digest is not None
    resolve(version.uri)
    adapters.verify_in_store(version.uri, version.adapter_digest)
    flip(Path(mlflow.artifacts.download_artifacts(version.uri)) / "adapter" / adapters.CONFIG)
    resolve(version.uri)  # this machine has a whole copy
    with pytest.raises(IntegrityError, match=r"adapter digest .* differs from the recorded"):
        adapters.verify_in_store(version.uri, version.adapter_digest)
