"""What ``LLMOPS_HOME`` holds, and which of it can be deleted.

Garbage is what a killed process left; it is found by its lock, which the kernel released. Complete
items are deleted only on request, by age; all of them can be re-created.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from llmops.errors import LlmopsError
from llmops.files import home, staging
from llmops.files.staging import Leftover
from llmops.models import bases
from llmops.progress import say
from llmops.records import ModelFiles
from llmops.store import open_runs, unfinished

SECONDS_A_DAY = 86_400.0


@dataclass(frozen=True)
class Item:
    """One item in the home.

    Attributes:
        kind: ``base``, ``adapter``, ``run`` (state of an unfinished run), ``results`` (generations
            of comparisons) or ``leftover`` (garbage).
        name: Digest or name.
        path: Its file or folder.
        size: Size in bytes.
        used: Unix time of its last use.
    """

    kind: str
    name: str
    path: Path
    size: int
    used: float


def items() -> list[Item]:
    """Return all items by kind, the largest of each kind first."""
    kinds: tuple[tuple[str, Callable[[], Iterator[Path]]], ...] = (
        ("base", lambda: _folders("models")),
        ("adapter", lambda: _folders("adapters")),
        ("run", lambda: _folders("runs")),
        ("results", lambda: (path for path in home.folder("cache").glob("*.sqlite"))),
        ("leftover", lambda: (left.folder for left in staging.leftovers())),
    )
    return [
        item
        for kind, paths in kinds
        for item in sorted(_present(kind, paths()), key=lambda item: -item.size)
    ]


def garbage() -> list[Leftover]:
    """Return what killed processes left behind."""
    return staging.leftovers()


def described(leftover: Leftover) -> str:
    """Return what a killed process left: its folder, and what its notes name elsewhere."""
    notes = leftover.notes
    elsewhere = (
        ("token", "tracking", "logged model"),
        (open_runs.TOKEN, open_runs.TRACKING, "open run"),
    )
    parts = [
        f", and its {what} in {notes[place]}" for key, place, what in elsewhere if key in notes
    ]
    return f"{leftover.folder}{''.join(parts)}"


def collect(leftover: Leftover) -> list[str]:
    """Remove what a killed process left: its folder, and whatever else its notes list.

    Returns:
        A description of each thing that was removed or ended.

    Raises:
        StoreError: A logged model cannot be removed, or a run not be ended; the note is kept for the
            next attempt.
    """
    notes, removed = leftover.notes, [str(leftover.folder)]
    for path in (Path(notes[key]) for key in ("partial", "written") if key in notes):
        if path.is_dir():
            shutil.rmtree(path)
            removed.append(str(path))
            with suppress(OSError):  # MLflow's temporary folder around it, empty now
                path.parent.rmdir()
    removed += open_runs.end_noted(notes)
    mark = unfinished.noted(notes)
    if mark is not None:
        removed += unfinished.undo(mark)
    staging.remove(leftover)
    return removed


def unused(days: float) -> list[Item]:
    """Return the bases, adapters and unfinished runs that were not used for ``days`` days."""
    oldest = time.time() - days * SECONDS_A_DAY
    return [
        item
        for item in items()
        if item.kind in ("base", "adapter", "run") and item.used < oldest and not _busy(item)
    ]


def mark_used(files: ModelFiles) -> None:
    """Record that a model's files are in use now, so that they do not count as old."""
    stamps = [files.base.directory / bases.MANIFEST]
    if files.adapter_dir is not None:
        stamps.append(files.adapter_dir.parent)
    for stamp in stamps:
        with suppress(OSError):
            os.utime(stamp)


def remove(item: Item) -> None:
    """Remove an item; it is renamed first, so that no reader finds half of it.

    Raises:
        LlmopsError: The item cannot be removed.
    """
    try:
        with staging.staging() as folder:
            item.path.rename(folder / "removed")
    except OSError as error:
        raise LlmopsError(f"{item.path}: cannot be removed: {error}") from error
    if item.kind == "run":
        Path(f"{item.path}.lock").unlink(missing_ok=True)


def collect_all(leftovers: list[Leftover]) -> list[str]:
    """Collect each leftover, with a warning for one that cannot be removed; see ``collect``."""
    removed: list[str] = []
    for leftover in leftovers:
        try:
            removed += collect(leftover)
        except LlmopsError as error:
            say(f"warning: {error}")
    return removed


def _folders(name: str) -> Iterator[Path]:
    return (path for path in home.folder(name).iterdir() if path.is_dir())


def _present(kind: str, paths: Iterator[Path]) -> Iterator[Item]:
    """Yield the items that no other process has removed in the meantime."""
    for path in paths:
        try:
            yield _item(kind, path)
        except FileNotFoundError:
            continue
        except OSError as error:  # such as no permission: the other items are shown all the same
            say(f"warning: {path}: cannot be read: {error.strerror}")


def _item(kind: str, path: Path) -> Item:
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    size = sum(file.stat().st_size for file in files)
    stamp = path / bases.MANIFEST if kind == "base" else path
    used = (stamp if stamp.exists() else path).stat().st_mtime
    return Item(kind, path.name, path, size, used)


def _busy(item: Item) -> bool:
    """Return whether a process is working in a run's folder."""
    if item.kind != "run":
        return False
    try:
        with FileLock(f"{item.path}.lock", timeout=0):
            return False
    except Timeout:
        return True
