"""Copy the folder of a recipe: ordinary files only, and not too many."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from llmops.errors import LlmopsError, NotFoundError, UsageError
from llmops.recipe import catalog

MOST_FILES = 1_000
MOST_BYTES = 100 * 10**6
SKIPPED = "__pycache__"


def copy(source: Path, target: Path) -> None:
    """Copy the folder of a recipe, without hidden files.

    Args:
        source: Folder with ``recipe.yaml``, or the one with the files for CI.
        target: Folder to create.

    Raises:
        NotFoundError: The folder holds no recipe.
        UsageError: The target exists or lies in the folder, or the folder holds links, pipes, or
            more than a recipe needs.
        LlmopsError: A file cannot be read or written; nothing is left of the copy.
    """
    if not (source / catalog.RECIPE_FILE).is_file() and source != catalog.folder() / catalog.CI:
        raise NotFoundError(
            f"{source}: holds no {catalog.RECIPE_FILE}; only the folder of a recipe is copied",
            next_command="llmops recipes ls",
        )
    if os.path.lexists(target):
        raise UsageError(
            f"{target}: already exists",
            next_command=f"llmops recipes cp {source.name} OTHER_FOLDER",
        )
    if target.resolve().is_relative_to(source.resolve()):
        raise UsageError(f"{target}: lies in the folder to copy, {source}")
    files = _checked(source)
    try:
        for file in files:
            place = target / file.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place, follow_symlinks=False)
    except OSError as error:
        shutil.rmtree(target, ignore_errors=True)
        raise LlmopsError(
            f"{target}: cannot be written: {error}",
            next_command="free disk space or fix permissions, then rerun",
        ) from error


def _checked(source: Path) -> list[Path]:
    """Return the files to copy."""
    files, size = [], 0
    for file in _files(source):
        files.append(file)
        size += file.stat().st_size
        if len(files) > MOST_FILES or size > MOST_BYTES:
            raise UsageError(
                f"{source}: more than {MOST_FILES:,} files or {MOST_BYTES // 10**6} MB, which is no"
                f" recipe's folder",
                next_command=f"cp -r {source} TARGET  (if you want all of it)",
            )
    return files


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files in a folder and below it, in a fixed order."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name == SKIPPED:
            continue
        if path.is_symlink():
            raise UsageError(
                f"{path}: a symbolic link to {path.readlink()}; links are not copied",
                next_command="replace it by the file itself",
            )
        if path.is_dir():
            yield from _files(path)
        elif path.is_file():
            yield path
        else:
            raise UsageError(f"{path}: neither a file nor a folder")
