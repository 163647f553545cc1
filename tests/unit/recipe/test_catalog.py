"""How a user names a recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmops.errors import ConfigError, NotFoundError
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


@pytest.mark.parametrize("reference", ["a\0b", "~nosuchuser/x", "x" * 5000])
def test_what_cannot_be_a_path_is_no_recipe(reference: str) -> None:
    with pytest.raises(NotFoundError, match="no such file or folder"):
        catalog.find(reference)


def test_the_text_of_a_recipe_is_read_within_limits(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text("name: ü", encoding="utf-8")
    assert catalog.read(file) == "name: ü"
    file.write_text("# " + "x" * 20_000_000)
    with pytest.raises(ConfigError, match="20,000,002 bytes; a recipe may have 1,000,000"):
        catalog.read(file)
    file.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        catalog.read(file)
    with pytest.raises(NotFoundError, match="no such recipe"):
        catalog.read(tmp_path)
