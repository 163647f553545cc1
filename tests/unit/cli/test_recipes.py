"""`llmops recipes` as a user meets it."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Command

from llmops.recipe import catalog


def test_every_recipe_is_listed_with_its_purpose(llmops: Command) -> None:
    lines = llmops("recipes", "ls").stdout.splitlines()
    assert [line.split()[0] for line in lines] == catalog.names()
    assert lines[0].startswith("quickstart  teach a 135M model")
    assert not any("#" in line or "Needs" in line for line in lines)


def test_a_recipe_is_shown_as_it_is_written(llmops: Command) -> None:
    written = catalog.find("quickstart/smoke.yaml").read_text(encoding="utf-8")
    assert llmops("recipes", "show", "quickstart/smoke.yaml").stdout == written


def test_a_copy_is_the_users_own(
    llmops: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert (
        llmops("recipes", "cp", "quickstart").stdout
        == "quickstart\n  Next: llmops run quickstart\n"
    )
    assert llmops("validate", "quickstart").returncode == 0
    again = llmops("recipes", "cp", "quickstart")
    assert again.returncode == 2
    assert "quickstart: already exists\n  Next: llmops recipes cp quickstart OTHER" in again.stderr
    assert llmops("recipes", "cp", "quickstart", "other").returncode == 0
    original = catalog.find("quickstart").read_bytes()
    assert Path("other/recipe.yaml").read_bytes() == original


@pytest.mark.parametrize("verb", ["show", "cp"])
def test_an_unknown_recipe_is_a_usage_error(llmops: Command, verb: str) -> None:
    done = llmops("recipes", verb, "quickstrat")
    assert done.returncode == 2
    assert "recipe 'quickstrat': no such file or folder" in done.stderr
    assert "(quickstart)" in done.stderr
