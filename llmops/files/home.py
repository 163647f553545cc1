"""The home: ``LLMOPS_HOME``, or the platform's user data folder, where llmops keeps its files."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from llmops.errors import LlmopsError, UsageError
from llmops.files import private

VARIABLE = "LLMOPS_HOME"
FOLDERS = (
    "models",
    "adapters",
    "staging",
    "runs",
    "cache",
    "verified",
    "logs",
    "metrics",
    "locks",
    "deployments",
    "keys",
)
"""Folders of the home; see ``folder``."""


def home() -> Path:
    """Return the root folder, without creating it.

    Raises:
        UsageError: ``LLMOPS_HOME`` cannot be a path.
    """
    configured = os.environ.get(VARIABLE)
    if configured:
        return _configured(configured)
    try:
        import platformdirs
    except ImportError:  # in vLLM's environment, which is Linux
        data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
        return Path(data) / "llmops"
    return Path(platformdirs.user_data_dir("llmops", appauthor=False))


def _configured(text: str) -> Path:
    problem = "" if text.strip() else "is blank"
    if not problem and not text.isprintable():
        problem = "contains a line break or another character that no path should have"
    try:
        path = Path(text).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:  # "~" of an unknown user, a loop of links
        problem = problem or str(error)
    if problem:
        raise UsageError(
            f"{VARIABLE}={text!r}: {problem}",
            next_command=f"export {VARIABLE}=FOLDER, or unset it for the platform's default",
        )
    return path


def folder(name: str) -> Path:
    """Return a folder of the home; create it, readable by its owner only, if it does not exist.

    Args:
        name: ``models`` and ``adapters`` (addressed by content), ``staging`` (work in progress),
            ``runs`` (state of unfinished runs), ``cache`` (generations), ``verified`` (records
            of checks and conversions already done), ``logs`` (engine logs), ``metrics``
            (``evaluate`` modules), ``locks``, ``deployments`` or ``keys`` (secrets of this home).

    Raises:
        UsageError: ``LLMOPS_HOME`` cannot be a path.
        LlmopsError: The folder cannot be created.
    """
    path = home()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _make_root(path)
        for part in Path(name).parts:
            path = private.make_folder(path / part)
        return path
    except OSError as error:
        raise LlmopsError(
            f"{VARIABLE}: cannot create {path}: {error}",
            next_command=f"set {VARIABLE} to a folder that you can write to",
        ) from error


def _make_root(root: Path) -> None:
    """Create the home, or tighten it unless it holds something else, such as a user's own files."""
    try:
        root.mkdir(mode=private.FOLDER_MODE)
    except FileExistsError:
        with suppress(OSError):
            if all(entry.name in FOLDERS for entry in root.iterdir()):
                private.tighten(root, private.FOLDER_MODE)


def directory(text: str | Path) -> Path | None:
    """Return an existing directory, ``None`` if there is none or the text cannot be a path."""
    with suppress(OSError, ValueError, RuntimeError):  # too long, a NUL, "~" of an unknown user
        path = Path(text).expanduser()
        return path if str(text) and path.is_dir() else None
    return None


def link_or_copy(source: str, target: str) -> str:
    """Hard-link a file, or copy it where the disk has no links; return the target."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
    return target


@contextmanager
def writing(name: str) -> Iterator[None]:
    """Turn a failed write into an error that names what was being written.

    Raises:
        LlmopsError: No disk space, or no permission.
    """
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, SafetensorError) as error:  # safetensors raises its own for a full disk
        raise LlmopsError(
            f"{name}: cannot be written: {error}; nothing was registered",
            next_command="free disk space or fix permissions, then rerun",
        ) from error


def write_whole(path: Path, text: str, *, shared: bool = False) -> None:
    """Write a file atomically: a reader finds all of it, or none.

    Args:
        path: The file.
        text: Its new content.
        shared: Whether others may read it, as the umask says; otherwise only its owner can.
    """
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex[:12]}.tmp")  # threads write too
    try:
        if not shared:
            private.make_file(temporary)
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
