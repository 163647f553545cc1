"""Where llmops keeps files of its own: ``LLMOPS_HOME``, or the platform's user data folder."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from llmops.errors import LlmopsError


def home() -> Path:
    """The root folder; not created by asking."""
    configured = os.environ.get("LLMOPS_HOME")
    if configured:
        return Path(configured).expanduser().resolve()
    import platformdirs

    return Path(platformdirs.user_data_dir("llmops", appauthor=False))


def folder(name: str) -> Path:
    """A folder of the home, created.

    Args:
        name: ``models`` and ``adapters`` (addressed by content), ``staging`` (work in progress),
            ``runs`` (state of unfinished runs), ``cache`` (generations), ``verified`` (what
            was found to be whole or converted already), ``logs`` (of engines), ``metrics``
            (``evaluate`` modules), ``locks`` or ``deployments``.
    """
    path = home() / name
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LlmopsError(
            f"LLMOPS_HOME: {path} cannot be made: {error}",
            next_command="set LLMOPS_HOME to a folder that you may write to",
        ) from error
    return path


def directory(text: str | Path) -> Path | None:
    """The directory of this name, ``None`` if there is none, or if it cannot be a name at all."""
    with suppress(OSError, ValueError, RuntimeError):  # too long, a NUL, a home of nobody
        path = Path(text).expanduser()
        return path if str(text) and path.is_dir() else None
    return None


def link_or_copy(source: str, target: str) -> str:
    """A second name for bytes where the disk allows it: a base is gigabytes."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
    return target


@contextmanager
def writing(name: str) -> Iterator[None]:
    """Says what could not be written, and that nothing came of it.

    Raises:
        LlmopsError: No space, no permission.
    """
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, SafetensorError) as error:  # the latter is how safetensors says `disk full`
        raise LlmopsError(
            f"{name}: cannot be written: {error}; nothing was registered",
            next_command="free disk space or permissions, then the same command again",
        ) from error


def write_whole(path: Path, text: str) -> None:
    """Writes a file so that a reader finds all of it, or none."""
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex[:12]}.tmp")  # threads write too
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
