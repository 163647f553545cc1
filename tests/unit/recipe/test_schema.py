"""What a recipe may hold: names, demands that can be met, and a digest of the content."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from small_recipe import SMALL, changed, problems

from llmops.errors import ConfigError
from llmops.recipe import catalog
from llmops.recipe.load import load_recipe
from llmops.recipe.schema import Recipe
from llmops.records.names import check_model_name


@pytest.mark.parametrize(
    "name", ["a/b", "a b", "a@b", "", ".a", "-a", "ä", "a:b", "a\n", "a" * 129]
)
def test_model_names_that_a_uri_cannot_carry(recipe: Path, name: str) -> None:
    (problem,) = problems(recipe, f"flavor.model={json.dumps(name)}")
    assert problem.startswith("9: flavor.model: ")
    with pytest.raises(ConfigError, match="letters, digits"):
        check_model_name(name)


@pytest.mark.parametrize("name", ["bot", "Bot-2.1_x", "7b", "a" * 128])
def test_model_names(recipe: Path, name: str) -> None:
    assert load_recipe(recipe, [f"flavor.model='{name}'"]).flavor.model == name
    assert check_model_name(name) == name


@pytest.mark.parametrize("alias", ["latest", "Latest", "v1", "V12", "a b", "1a", "a.b", ""])
@pytest.mark.parametrize("key", ["flavor.alias", "gate.on_pass"])
def test_aliases_that_mlflow_refuses(recipe: Path, key: str, alias: str) -> None:
    # MLflow refuses them only when the alias is set: after the training.
    assert f"{key}: received" in problems(recipe, f"{key}='{alias}'")[0]


@pytest.mark.parametrize("alias", ["staging", "v1x", "latest-eu", "prod_2"])
def test_aliases(recipe: Path, alias: str) -> None:
    assert load_recipe(recipe, [f"flavor.alias={alias}"]).flavor.alias == alias


def test_the_gate_asks_only_for_what_compare_computes(recipe: Path) -> None:
    (problem,) = problems(changed(recipe, "[token_f1, one_line]", "[one_line]"))
    assert "gate.require names token_f1, which compare.scorers does not produce" in problem
    assert "(it produces one_line)" in problem


def test_not_regress_needs_a_margin(recipe: Path) -> None:
    (problem,) = problems(changed(recipe, ", margin: 0.05", ""))
    assert problem.startswith("14: gate.require.0: not_regress needs a margin above 0")


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        (["data.path=null"], "source `file` needs `path`"),
        (["data.source=stdlib_docstrings"], "`path` belongs to source `file`"),
        (["data.test_fraction=0.8"], "must stay below 0.9"),
    ],
)
def test_data_that_contradicts_itself(recipe: Path, overrides: list[str], complaint: str) -> None:
    assert complaint in problems(recipe, *overrides)[0]


def test_the_digest_follows_the_content_and_nothing_else(recipe: Path) -> None:
    first = load_recipe(recipe).digest()
    reordered = yaml.safe_load(SMALL)
    recipe.write_text(yaml.safe_dump(reordered, sort_keys=True), encoding="utf-8")
    assert load_recipe(recipe).digest() == first
    assert load_recipe(recipe, ["seed=7"]).digest() == first  # the default, spelled out
    assert load_recipe(recipe, ["seed=8"]).digest() != first


def test_the_resolved_recipe_is_a_recipe(recipe: Path, tmp_path: Path) -> None:
    loaded = load_recipe(recipe, ["train.learning_rate=3e-4"])
    again = tmp_path / "again.yaml"
    again.write_text(loaded.to_yaml(), encoding="utf-8")
    assert load_recipe(again) == loaded
    assert load_recipe(again).digest() == loaded.digest()


def test_a_recipe_cannot_be_changed_once_read(recipe: Path) -> None:
    loaded: Recipe = load_recipe(recipe)
    with pytest.raises(ValueError, match="frozen"):
        loaded.seed = 1  # type: ignore[misc]


def test_only_the_gate_moves_its_alias() -> None:
    with pytest.raises(ConfigError, match="choose another name"):
        load_recipe(catalog.find("quickstart"), ["flavor.alias=Champion"])
