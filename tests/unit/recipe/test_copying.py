"""Only the folder of a recipe is copied, and only its ordinary files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llmops.errors import LlmopsError, NotFoundError, UsageError
from llmops.recipe import copying


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    (folder / "data").mkdir(parents=True)
    (folder / "recipe.yaml").write_text("name: mine")
    (folder / "data" / "rows.csv").write_text("a,b")
    return folder


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_a_recipe_is_copied_with_its_data(source: Path, tmp_path: Path) -> None:
    for name in (".git/config", "__pycache__/x.pyc", "data/.hidden"):
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).touch()
    copying.copy(source, tmp_path / "a" / "copy")
    assert files(tmp_path / "a" / "copy") == ["data/rows.csv", "recipe.yaml"]


@pytest.mark.parametrize("kind", ["file", "folder", "inside", "broken"])
def test_no_link_is_followed(source: Path, tmp_path: Path, kind: str) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "id_rsa").write_text("secret")
    targets = {"file": secret / "id_rsa", "folder": secret, "inside": source / "recipe.yaml"}
    (source / "data" / "link").symlink_to(targets.get(kind, Path("nowhere")))
    with pytest.raises(UsageError, match="links are not copied"):
        copying.copy(source, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_folder_without_a_recipe_is_not_copied(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"holds no recipe\.yaml"):
        copying.copy(tmp_path, tmp_path / "copy")
    os.mkfifo(tmp_path / "recipe.yaml")
    with pytest.raises(NotFoundError, match=r"holds no recipe\.yaml"):
        copying.copy(tmp_path, tmp_path / "copy")


def test_a_pipe_is_not_opened(source: Path, tmp_path: Path) -> None:
    os.mkfifo(source / "pipe")
    with pytest.raises(UsageError, match="neither a file nor a folder"):
        copying.copy(source, tmp_path / "copy")


def test_a_folder_is_not_copied_into_itself(source: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(source)
    for target in (source / "copy", source / "data" / "copy", tmp_path / "link" / "copy"):
        with pytest.raises(UsageError, match="lies in the folder to copy"):
            copying.copy(source, target)
    assert files(source) == ["data/rows.csv", "recipe.yaml"]


def test_nothing_is_written_over(source: Path, tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to("nowhere")
    for target in (source, tmp_path / "dangling"):
        with pytest.raises(UsageError, match="already exists"):
            copying.copy(source, target)


def test_a_home_is_no_recipe(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (source / "large").open("wb") as file:
        file.truncate(copying.MOST_BYTES + 1)
    with pytest.raises(UsageError, match=r"more than 1,000 files or 100 MB"):
        copying.copy(source, tmp_path / "copy")
    (source / "large").unlink()
    monkeypatch.setattr(copying, "MOST_FILES", 1)
    with pytest.raises(UsageError, match="which is no recipe"):
        copying.copy(source, tmp_path / "copy")


def test_a_failed_copy_leaves_nothing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(copying.shutil, "copyfile", full)
    with pytest.raises(LlmopsError, match=r"cannot be written: .*No space"):
        copying.copy(source, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
