"""The workspace of a recipe: a run that was killed resumes from what it had finished."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from llmops.errors import UsageError
from llmops.files import home, private


@contextmanager
def workspace(name: str, key: str) -> Iterator[Path]:
    """Provide a folder that is kept after a failure, so that the next call resumes from it.

    Args:
        name: Name of the recipe; begins the folder's name.
        key: Distinguishes runs of recipes with the same name.

    Yields:
        The folder, locked; it is removed when the block ends without an exception.

    Raises:
        UsageError: Another process runs the same recipe.
    """
    work = home.folder("runs") / f"{name}-{key}"
    lock = FileLock(f"{work}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UsageError(
            f"recipe {name}: another process is running it",
            next_command="wait for it, or change the recipe: llmops run RECIPE seed=8",
        ) from None
    try:
        private.make_folder(work)
        yield work
        shutil.rmtree(work)
    finally:
        lock.release()
