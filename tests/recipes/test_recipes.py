"""Every packaged recipe is complete: it runs unedited, has a smoke run, says what to expect."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from llmops.recipe import catalog
from llmops.recipe.expected import AGAINST_BASE, tolerances
from llmops.recipe.load import load_recipe

FOLDERS = [catalog.folder() / name for name in catalog.names()]
HEADER = ("# Purpose:", "# Needs:", "# Run:")


def test_there_are_recipes() -> None:
    assert [folder.name for folder in FOLDERS] == ["quickstart"]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_recipe_folder_is_whole(folder: Path) -> None:
    for name in ("recipe.yaml", "smoke.yaml", "README.md", "expected.json", "MLproject"):
        assert (folder / name).is_file(), name
    for name in ("recipe.yaml", "smoke.yaml"):
        text = (folder / name).read_text()
        assert all(line in text for line in HEADER), "the header says purpose, needs and how to run"
        assert load_recipe(folder / name).name.startswith(folder.name)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_project_runs_the_same_files(folder: Path) -> None:
    project = yaml.safe_load((folder / "MLproject").read_text())
    for point, file in (("main", "recipe.yaml"), ("smoke", "smoke.yaml")):
        assert project["entry_points"][point]["command"] == f"llmops run {file}"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_expected_figures_come_from_at_least_three_seeds(folder: Path) -> None:
    content = json.loads((folder / "expected.json").read_text())
    assert len(content["measured"]) >= 3
    bounds = tolerances(folder / "recipe.yaml", load_recipe(folder / "recipe.yaml"))
    assert bounds, "measured for another recipe: run `make seeds` again"
    assert set(AGAINST_BASE) <= {name.rpartition("_at_")[0] for name in bounds}
    for figures in content["measured"].values():
        drop = figures["nll_base"] - figures["nll_tuned"]
        assert drop >= bounds["nll_drop_at_least"]
        assert figures["f1_tuned"] >= bounds["f1_tuned_at_least"]
    assert tolerances(folder / "smoke.yaml", load_recipe(folder / "smoke.yaml")) == {}
