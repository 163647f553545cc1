"""`llmops validate` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import yaml
from command_line import Command

from llmops.recipe.load import load_recipe


def test_a_recipe_is_printed_with_its_defaults(llmops: Command, own_recipe: Path) -> None:
    shown = llmops("validate", str(own_recipe), "train.epochs=2")
    assert shown.returncode == 0
    resolved = load_recipe(own_recipe, ["train.epochs=2"])
    assert yaml.safe_load(shown.stdout) == resolved.model_dump(mode="json")
    assert shown.stdout.endswith(f"# valid; digest {resolved.digest()}\n")
    record = json.loads(llmops("validate", str(own_recipe), "--output", "json").stdout)
    assert record["recipe"]["train"]["lora"]["alpha"] == 32
    assert record["digest"] == load_recipe(own_recipe).digest()


def test_a_wrong_recipe_is_a_usage_error(llmops: Command, own_recipe: Path) -> None:
    done = llmops("validate", str(own_recipe), "train.epoch=2")
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"{own_recipe}:4: train.epoch: unknown key; allowed here: base" in done.stderr
