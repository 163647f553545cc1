"""The packaged recipes, and how a user names a recipe."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import llmops
from llmops.errors import ConfigError, NotFoundError

RECIPE_FILE = "recipe.yaml"
CI = "ci"
"""Name of the folder with ready files for CI, which holds no recipe."""
LARGEST = 10**6
"""Bytes of a recipe; reading 20 MB of YAML takes minutes."""


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
    with suppress(OSError, ValueError, RuntimeError):  # too long, a NUL, "~" of an unknown user
        for path in (Path(reference).expanduser(), folder() / reference):
            if path.is_dir() and (path / RECIPE_FILE).is_file():
                return path / RECIPE_FILE
            if path.is_file():
                return path
    raise NotFoundError(
        f"recipe {reference!r}: no such file or folder, and no packaged recipe ({', '.join(names())})",
        next_command="llmops recipes ls",
    )


def read(path: Path, kind: str = "recipe") -> str:
    """Return the text of a recipe or of another file like it.

    Args:
        path: The file.
        kind: What it is, for an error.

    Raises:
        NotFoundError: There is no such file.
        ConfigError: The file is too large, cannot be read, or is not UTF-8.
    """
    if not path.is_file():
        listed = "llmops recipes ls" if kind == "recipe" else None
        raise NotFoundError(f"{path}: no such {kind}", next_command=listed)
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise ConfigError([f"{path}: {size:,} bytes; a {kind} may have {LARGEST:,}"])
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: not UTF-8 (byte {error.start})"]) from error
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from error
