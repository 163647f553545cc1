"""What ``LLMOPS_HOME`` holds, and what of it nobody needs any more.

Garbage is what a killed process left: it is found by its lock, which the kernel dropped. What is
whole goes only when asked, by age: everything in it can be had again.
"""

from __future__ import annotations

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
from llmops.store import unfinished

SECONDS_A_DAY = 86_400.0


@dataclass(frozen=True)
class Item:
    """One thing in the home.

    Attributes:
        kind: ``base``, ``adapter``, ``run`` (state of an unfinished run), ``results`` (generations
            of comparisons) or ``leftover`` (garbage).
        name: Digest or name.
        path: Where it lies.
        size: Bytes.
        used: Unix time of the last use.
    """

    kind: str
    name: str
    path: Path
    size: int
    used: float


def items() -> list[Item]:
    """Everything, the largest of each kind first."""
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
    """What killed processes left behind."""
    return staging.leftovers()


def collect(leftover: Leftover) -> list[str]:
    """Removes what a killed process left: its folder, and what its notes say it had begun.

    Returns:
        What was removed, in words.

    Raises:
        StoreError: A logged model cannot be removed; its note stays for the next time.
    """
    notes, removed = leftover.notes, [str(leftover.folder)]
    for path in (Path(notes[key]) for key in ("partial", "written") if key in notes):
        if path.is_dir():
            shutil.rmtree(path)
            removed.append(str(path))
            with suppress(OSError):  # MLflow's temporary folder around it, empty now
                path.parent.rmdir()
    mark = unfinished.noted(notes)
    if mark is not None:
        removed += unfinished.undo(mark)
    staging.remove(leftover)
    return removed


def unused(days: float) -> list[Item]:
    """Bases, adapters and unfinished runs that nobody used for so many days."""
    oldest = time.time() - days * SECONDS_A_DAY
    return [
        item
        for item in items()
        if item.kind in ("base", "adapter", "run") and item.used < oldest and not _busy(item)
    ]


def remove(item: Item) -> None:
    """Removes one thing: it vanishes by a rename, so that nobody finds half of it.

    Raises:
        LlmopsError: It cannot be removed.
    """
    try:
        with staging.staging() as folder:
            item.path.rename(folder / "removed")
    except OSError as error:
        raise LlmopsError(f"{item.path}: cannot be removed: {error}") from error
    if item.kind == "run":
        Path(f"{item.path}.lock").unlink(missing_ok=True)


def collect_all(found: list[Leftover]) -> list[str]:
    """Collects; one that fails does not keep the others."""
    removed: list[str] = []
    for leftover in found:
        try:
            removed += collect(leftover)
        except LlmopsError as error:
            say(f"warning: {error}")
    return removed


def _folders(name: str) -> Iterator[Path]:
    return (path for path in home.folder(name).iterdir() if path.is_dir())


def _present(kind: str, paths: Iterator[Path]) -> Iterator[Item]:
    """What other processes have not removed in the meantime."""
    for path in paths:
        with suppress(FileNotFoundError):
            yield _item(kind, path)


def _item(kind: str, path: Path) -> Item:
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    size = sum(file.stat().st_size for file in files)
    stamp = path / bases.MANIFEST if kind == "base" else path
    used = (stamp if stamp.exists() else path).stat().st_mtime
    return Item(kind, path.name, path, size, used)


def _busy(item: Item) -> bool:
    """Whether a process works in a run's folder at this moment."""
    if item.kind != "run":
        return False
    try:
        with FileLock(f"{item.path}.lock", timeout=0):
            return False
    except Timeout:
        return True
