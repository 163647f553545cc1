"""The packaged recipes, and how a user names a recipe."""

from __future__ import annotations

from pathlib import Path

import llmops
from llmops.errors import NotFoundError

RECIPE_FILE = "recipe.yaml"


def folder() -> Path:
    """Return the folder of the packaged recipes: in the wheel, or beside the sources."""
    package = Path(llmops.__file__).parent
    packaged = package / "_recipes"
    return packaged if packaged.is_dir() else package.parent / "recipes"


def names() -> list[str]:
    """Return the names of the packaged recipes, sorted."""
    return sorted(path.parent.name for path in folder().glob(f"*/{RECIPE_FILE}"))


def find(reference: str) -> Path:
    """Return the file of a recipe.

    Args:
        reference: A YAML file, a folder with ``recipe.yaml``, or a packaged recipe's name
            (``quickstart``, ``quickstart/smoke.yaml``).

    Raises:
        NotFoundError: There is no such file, folder or packaged recipe.
    """
    for path in (Path(reference).expanduser(), folder() / reference):
        if path.is_dir() and (path / RECIPE_FILE).is_file():
            return path / RECIPE_FILE
        if path.is_file():
            return path
    raise NotFoundError(
        f"recipe {reference!r}: no such file or folder, and no packaged recipe ({', '.join(names())})",
        next_command="llmops recipes ls",
    )
