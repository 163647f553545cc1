"""How a user names a recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmops.errors import NotFoundError
from llmops.recipe import catalog


def test_the_packaged_recipes_are_found() -> None:
    assert "quickstart" in catalog.names()
    assert catalog.names() == sorted(catalog.names())


@pytest.mark.parametrize(
    ("reference", "file"),
    [
        ("quickstart", "quickstart/recipe.yaml"),
        ("quickstart/smoke.yaml", "quickstart/smoke.yaml"),
    ],
)
def test_a_packaged_recipe_goes_by_its_name(reference: str, file: str) -> None:
    assert catalog.find(reference) == catalog.folder() / file


def test_the_users_own_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    own = Path("quickstart")
    own.mkdir()
    assert catalog.find("quickstart") == catalog.folder() / "quickstart/recipe.yaml"
    (own / "recipe.yaml").touch()
    assert catalog.find("quickstart") == own / "recipe.yaml"
    assert catalog.find("quickstart/recipe.yaml") == own / "recipe.yaml"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert catalog.find("~/quickstart") == tmp_path / "quickstart/recipe.yaml"


@pytest.mark.parametrize("reference", ["quickstrat", "", "quickstart/none.yaml"])
def test_an_unknown_name_is_refused_with_those_that_exist(
    reference: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotFoundError, match=r"no packaged recipe \(quickstart") as refused:
        catalog.find(reference)
    assert refused.value.next_command == "llmops recipes ls"
