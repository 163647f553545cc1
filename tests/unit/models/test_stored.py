"""The small files of a model are the same wherever they are read."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pytest

from llmops.errors import LlmopsError, NotFoundError
from llmops.models.stored import ModelArtifacts, SavedModel, read_pin
from llmops.records import ModelVersion


def test_the_store_and_a_copy_on_disk_say_the_same(version: ModelVersion, tmp_path: Path) -> None:
    there = ModelArtifacts(version.uri)
    here = SavedModel(Path(mlflow.artifacts.download_artifacts(version.uri, dst_path=tmp_path)))
    assert there.pin() == here.pin()
    assert there.pin() == (read_pin(version.uri), version.model_id)
    assert there.text("base.json") == here.text("base.json")
    listed = there.files("adapter", "no-such-folder")
    assert listed == {k: v for k, v in here.files("adapter").items() if k in listed}
    assert {"MLmodel", "base.json", "adapter/adapter_config.json"} <= set(listed)
    assert set(listed) == set(there.files()) | {path for path in listed if "adapter/" in path}


@pytest.mark.parametrize("uri", ["models:/bot/7", "models:/nobody/1", "runs:/" + "0" * 32 + "/m"])
def test_what_is_not_in_the_store_is_not_found(version: ModelVersion, uri: str) -> None:
    with pytest.raises(LlmopsError) as caught:
        ModelArtifacts(uri)
    assert isinstance(caught.value, NotFoundError)
    assert uri in caught.value.message
    assert "models:/NAME/1" in str(caught.value.next_command)


def test_nothing_is_left_in_the_temporary_folder(
    version: ModelVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    ModelArtifacts(version.uri).text("MLmodel")
    assert list((tmp_path / "tmp").glob("llmops-*")) == []
