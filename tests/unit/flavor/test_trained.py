"""The version of a training run: registered once, and always at its alias."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pytest
from trained import recipe
from versions import registered

from llmops.flavor.trained import register
from llmops.records import BaseModel, DataSplit, PreparedData, TrainResult
from llmops.store import connection, registry, runs


@pytest.fixture
def data(tmp_path: Path) -> PreparedData:
    splits = [
        DataSplit(name, tmp_path / f"{name}.jsonl", "d" * 64, 5)
        for name in ("train", "validation", "test")
    ]
    return PreparedData("own", "own.csv", *splits, "data-digest")


@pytest.fixture
def trained(base: BaseModel, tiny_adapter: Path) -> TrainResult:
    with mlflow.start_run(run_name="train") as run:
        pass
    return TrainResult(run.info.run_id, tiny_adapter, base, 7, 100, 1.0, 2.0, 1, 0)


def test_a_training_run_has_one_version_with_its_origin(
    data: PreparedData, trained: TrainResult, tmp_path: Path
) -> None:
    chosen = recipe(tmp_path)
    version = register(chosen, data, trained)
    assert (version.uri, version.run_id) == ("models:/bot/1", trained.run_id)
    assert registry.version_of_alias("bot", chosen.flavor.alias) == "1"
    tags = connection.client().get_logged_model(version.model_id).tags
    assert tags["llmops.recipe_digest"] == chosen.digest()
    assert tags["llmops.data_digest"] == "data-digest"
    run = connection.client().get_run(trained.run_id)
    assert (run.info.run_name, run.info.status) == ("v1 train", "FINISHED")
    assert register(chosen, data, trained) == version
    assert registered() == ["bot/1", "tiny/1"]


def test_a_run_that_was_killed_before_the_alias_sets_it(
    data: PreparedData, trained: TrainResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    chosen = recipe(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(registry, "set_alias", killed)
        with pytest.raises(KeyboardInterrupt):
            register(chosen, data, trained)
    assert registry.version_of_alias("bot", chosen.flavor.alias) is None
    assert register(chosen, data, trained).version == "1"
    assert registry.version_of_alias("bot", chosen.flavor.alias) == "1"
    assert registered() == ["bot/1", "tiny/1"]
    assert runs.find_run(trained.run_id) is not None
