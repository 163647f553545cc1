"""A training run becomes one version, however often it is registered."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pytest
from small_recipe import SMALL

from llmops import flavor
from llmops.flavor.trained import register
from llmops.recipe import Recipe, load_recipe
from llmops.records import DataSplit, DataSummary, PreparedData, TrainResult
from llmops.store import connection, registry, runs


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    (tmp_path / "rows.csv").write_text("prompt,completion\na,b\n", encoding="utf-8")
    (tmp_path / "recipe.yaml").write_text(SMALL, encoding="utf-8")
    return load_recipe(tmp_path / "recipe.yaml")


@pytest.fixture
def data(tmp_path: Path) -> PreparedData:
    splits = [
        DataSplit(name, tmp_path / name, "0" * 64, 1) for name in ("train", "validation", "test")
    ]
    return PreparedData("small", "rows.csv", *splits, "1" * 64, DataSummary(read=60))


@pytest.fixture
def trained(store: str, tiny_model: Path, tiny_adapter: Path) -> TrainResult:
    base = flavor.add_base(tiny_model, "tiny")
    with mlflow.start_run() as run:
        mlflow.log_param("lora_rank", 4)
    return TrainResult(run.info.run_id, tiny_adapter, base, 6, 100, 1.0, 2.5, 1 << 20, 0)


def test_a_run_is_registered_once_and_its_version_says_what_it_is(
    recipe: Recipe, data: PreparedData, trained: TrainResult
) -> None:
    version = register(recipe, data, trained)
    assert register(recipe, data, trained) == version
    assert registry.latest_version("bot") == "1"
    assert registry.version_of_alias("bot", recipe.flavor.alias) == version.version
    run = runs.find_run(trained.run_id)
    assert (run.info.run_name, run.info.status) == ("bot/1 train", "FINISHED")
    model = connection.client().get_logged_model(version.model_id)
    assert model.params["lora_rank"] == "4"
    assert "rank" not in model.params
    assert model.tags["llmops.data_digest"] == data.digest
    assert model.tags["llmops.recipe_digest"] == recipe.digest()


def test_the_alias_comes_back_to_a_run_that_is_registered_again(
    recipe: Recipe, data: PreparedData, trained: TrainResult
) -> None:
    version = register(recipe, data, trained)
    connection.client().delete_registered_model_alias("bot", recipe.flavor.alias)
    assert register(recipe, data, trained) == version
    assert registry.version_of_alias("bot", recipe.flavor.alias) == "1"
