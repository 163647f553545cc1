"""Work in progress: what a killed process leaves behind is found again and removed.

Whatever takes a while to write is written in a folder of ``LLMOPS_HOME/staging`` whose lock the
writing process holds. The kernel releases the lock when the process dies, so a folder whose lock is
free is garbage. Notes in the folder list what the process had begun elsewhere.
"""

from __future__ import annotations

import json
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from llmops.errors import rephrased
from llmops.files import home, private

NOTES = "notes.json"
KEPT = "kept"
GRACE_SECONDS = 2.0
"""A lock file this young may belong to a process that is about to take the lock."""

_current: ContextVar[Path | None] = ContextVar("staging", default=None)


class Leftover(NamedTuple):
    """A staging folder whose process is gone, with the notes it left."""

    folder: Path
    notes: dict[str, str]


@contextmanager
def staging() -> Iterator[Path]:
    """Yield an empty folder on the disk of the cache; remove it at the end."""
    folder = home.folder("staging") / uuid.uuid4().hex[:12]
    with FileLock(_lock(folder)):
        private.make_folder(folder)
        token = _current.set(folder)
        try:
            yield folder
        finally:
            _current.reset(token)
            if KEPT not in _notes(folder):
                shutil.rmtree(folder, ignore_errors=True)
            _lock(folder).unlink(missing_ok=True)


def note(**items: str) -> None:
    """Note what was begun outside the current staging folder; do nothing outside ``staging()``."""
    folder = _current.get()
    if folder is not None:
        home.write_whole(folder / NOTES, json.dumps({**_notes(folder), **items}))


def keep() -> None:
    """Leave the current staging folder as a killed process would: its notes are still needed."""
    note(**{KEPT: "yes"})


def leftovers() -> list[Leftover]:
    """Return the folders whose process is gone."""
    return [Leftover(folder, _notes(folder)) for folder in _folders() if _abandoned(folder)]


def remove(leftover: Leftover) -> None:
    """Remove a folder and its lock."""
    shutil.rmtree(leftover.folder, ignore_errors=True)
    _lock(leftover.folder).unlink(missing_ok=True)


def copy_of(given: Path, staged: Path) -> AbstractContextManager[None]:
    """Make errors about a staged copy name the path that the user gave."""
    return rephrased(lambda message: message.replace(str(staged), str(given)))


@contextmanager
def lock(name: str) -> Iterator[None]:
    """Let one process of this machine at a time run the block, such as for one download of a base."""
    with FileLock(home.folder("locks") / f"{name}.lock"):
        yield


def _folders() -> list[Path]:
    return sorted({path.with_suffix("") for path in home.folder("staging").iterdir()})


def _abandoned(folder: Path) -> bool:
    lock_file = _lock(folder)
    if not lock_file.exists():
        return True
    try:
        if time.time() - lock_file.stat().st_mtime < GRACE_SECONDS:
            return False
        with FileLock(lock_file, timeout=0):
            return True
    except (Timeout, FileNotFoundError):  # its owner is at work, or has just finished
        return False


def _lock(folder: Path) -> Path:
    return folder.with_suffix(".lock")


def _notes(folder: Path) -> dict[str, str]:
    try:
        return dict(json.loads((folder / NOTES).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
