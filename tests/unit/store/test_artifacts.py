from __future__ import annotations

import os

import mlflow
import pytest

from llmops.errors import IntegrityError, StoreError
from llmops.records import ModelVersion
from llmops.store import artifacts


def test_a_file_of_a_run_is_read_back(store: str) -> None:
    with mlflow.start_run() as run:
        mlflow.log_dict({"a": 1}, "report/evidence.json")
        mlflow.log_text("x", "recipe.yaml")
    assert artifacts.read_json(run.info.run_id, "report/evidence.json") == {"a": 1}
    assert artifacts.run_has_file(run.info.run_id, "recipe.yaml")
    assert not artifacts.run_has_file(run.info.run_id, "evidence.json"), "it lies in a folder"
    with pytest.raises(StoreError, match=r"reading nothing\.json of run"):
        artifacts.read_json(run.info.run_id, "nothing.json")


def test_a_model_is_downloaded_whole(version: ModelVersion, tmp_path: object) -> None:
    folder = artifacts.download(version.uri, str(tmp_path))
    assert {"MLmodel", "base.json", "adapter"} <= set(os.listdir(folder))


@pytest.mark.parametrize("chosen", [None, "true"])
def test_mlflow_s_bars_are_off_meanwhile_unless_the_user_chose(
    chosen: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(artifacts.BARS, raising=False)
    if chosen is not None:
        monkeypatch.setenv(artifacts.BARS, chosen)
    with artifacts.quietly("reading"):
        assert os.environ[artifacts.BARS] == (chosen or "false")
    with pytest.raises(KeyError), artifacts.quietly("reading"):
        raise KeyError
    assert os.environ.get(artifacts.BARS) == chosen


@pytest.mark.parametrize("content", ["", "not JSON", "[1, 2]", '"text"', "null", "[" * 100_000])
def test_a_file_that_is_no_record_is_damaged(store: str, content: str) -> None:
    with mlflow.start_run() as run:
        mlflow.log_text(content, "report/evidence.json")
    with pytest.raises(IntegrityError, match=r"evidence\.json of run .*: not a JSON object"):
        artifacts.read_json(run.info.run_id, "report/evidence.json")
