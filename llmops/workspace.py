"""The folder a recipe works in, so that a killed run finds what it had finished."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from llmops import digest, home, store
from llmops.config import Recipe
from llmops.errors import UsageError


@contextmanager
def workspace(recipe: Recipe) -> Iterator[Path]:
    """A folder of this recipe and store, kept after a failure so that the next call resumes.

    Raises:
        UsageError: The same recipe is running already.
    """
    uri = store.connect()
    store.use_experiment(recipe.name)
    key = digest.of_record([recipe.digest(), uri, str(Path.cwd())])[:12]
    work = home.folder("runs") / f"{recipe.name}-{key}"
    lock = FileLock(f"{work}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UsageError(
            f"recipe {recipe.name}: another process runs it at this moment",
            next_command="wait for it, or change the recipe: llmops run RECIPE seed=8",
        ) from None
    try:
        work.mkdir(exist_ok=True)
        (work / "recipe.json").write_text(json.dumps(recipe.model_dump(mode="json")))
        yield work
        shutil.rmtree(work)
    finally:
        lock.release()
