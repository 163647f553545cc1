"""The recipe that is written can be read, and says what it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from llmops.data.starting.fitting import Fit
from llmops.data.starting.project import Project, write
from llmops.errors import LlmopsError, UsageError
from llmops.recipe import load_recipe

FIT = Fit("exact", "2 labels", 8, 512, 0, 0.2, 70)


def project(folder: Path) -> Project:
    keys = {"template": "Say.\n\n{text}", "completion": "label", "slices": ["topic"]}
    return Project("own", keys, folder / "own.csv", None, "tiny", FIT, on_cpu=True)


def test_the_recipe_is_read_as_it_was_meant(tmp_path: Path) -> None:
    path = write(project(tmp_path), tmp_path / "own")
    recipe = load_recipe(path)
    assert recipe.data.path == tmp_path / "own.csv"
    assert recipe.data.template == "Say.\n\n{text}"
    assert recipe.data.slices == ("topic",)
    assert recipe.train.max_steps == 70
    assert (recipe.name, recipe.flavor.model, recipe.train.base) == ("own", "own", "tiny")
    assert list(recipe.compare.scorers) == ["exact"]
    assert [(r.metric, r.must) for r in recipe.gate.require] == [("exact", "improve")]
    text = path.read_text()
    assert "path: ../own.csv" in text, "near files are named as they lie"
    assert "max_steps: 70  # about 5 minutes on a CPU" in text


@pytest.mark.parametrize("metric", ["exact", "json_fields", "token_f1"])
def test_every_metric_has_a_policy(tmp_path: Path, metric: str) -> None:
    made = replace(project(tmp_path), fit=replace(FIT, metric=metric, long=3), on_cpu=False)
    recipe = load_recipe(write(made, tmp_path / metric))
    assert {r.metric for r in recipe.gate.require} <= set(recipe.compare.scorers)
    assert recipe.train.max_steps is None
    assert recipe.train.too_long == "drop"


def test_a_test_file_replaces_the_share(tmp_path: Path) -> None:
    made = replace(project(tmp_path), test=tmp_path / "test.csv")
    recipe = load_recipe(write(made, tmp_path / "own"))
    assert recipe.data.test is not None
    assert recipe.data.test.path == tmp_path / "test.csv"


def test_a_recipe_that_is_there_is_not_replaced(tmp_path: Path) -> None:
    path = write(project(tmp_path), tmp_path / "own")
    path.write_text("mine")
    with pytest.raises(UsageError, match="already exists"):
        write(project(tmp_path), tmp_path / "own")
    assert path.read_text() == "mine"
    (tmp_path / "file").write_text("")
    with pytest.raises(LlmopsError, match="cannot be written"):
        write(project(tmp_path), tmp_path / "file")


@pytest.mark.parametrize("name", ["null", "yes", "on", "123", "0x1f", "1e3", "2024-01-01", "1.0"])
def test_a_name_stays_text(tmp_path: Path, name: str) -> None:
    made = replace(project(tmp_path), name=name, base=name)
    recipe = load_recipe(write(made, tmp_path / name))
    assert (recipe.name, recipe.flavor.model, recipe.train.base) == (name, name, name)


def test_a_recipe_that_cannot_be_read_is_not_left(tmp_path: Path) -> None:
    with pytest.raises(LlmopsError):
        write(replace(project(tmp_path), name="a/b"), tmp_path / "own")
    assert not (tmp_path / "own" / "recipe.yaml").exists()


def test_commands_in_the_recipe_can_be_typed(tmp_path: Path) -> None:
    folder = tmp_path / "my own"
    assert f"# Run:  llmops run '{folder}'\n" in write(project(tmp_path), folder).read_text()
