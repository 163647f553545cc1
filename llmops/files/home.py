"""The home: ``LLMOPS_HOME``, or the platform's user data folder, where llmops keeps its files."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from llmops.errors import LlmopsError


def home() -> Path:
    """Return the root folder, without creating it."""
    configured = os.environ.get("LLMOPS_HOME")
    if configured:
        return Path(configured).expanduser().resolve()
    import platformdirs

    return Path(platformdirs.user_data_dir("llmops", appauthor=False))


def folder(name: str) -> Path:
    """Return a folder of the home; create it if it does not exist.

    Args:
        name: ``models`` and ``adapters`` (addressed by content), ``staging`` (work in progress),
            ``runs`` (state of unfinished runs), ``cache`` (generations), ``verified`` (records
            of checks and conversions already done), ``logs`` (engine logs), ``metrics``
            (``evaluate`` modules), ``locks`` or ``deployments``.

    Raises:
        LlmopsError: The folder cannot be created.
    """
    path = home() / name
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LlmopsError(
            f"LLMOPS_HOME: cannot create {path}: {error}",
            next_command="set LLMOPS_HOME to a folder that you can write to",
        ) from error
    return path


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


def write_whole(path: Path, text: str) -> None:
    """Write a file atomically: a reader finds all of it, or none."""
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex[:12]}.tmp")  # threads write too
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
