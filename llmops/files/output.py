"""Files that a command is asked to write beside its result: refused before the work, written whole."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from llmops.errors import LlmopsError, UsageError
from llmops.files import home

LONGEST_NAME = 200
"""Bytes that a file name may have: file systems allow 255, and a longer temporary name is used while
the file is written."""


def check_output(option: str, path: Path, inputs: Iterable[Path] = ()) -> None:
    """Refuse a file that could not be written after the work.

    Args:
        option: The option that names it, such as ``--report``.
        path: The file.
        inputs: Files that the command reads, none of which it may replace.

    Raises:
        UsageError: It is no regular file or one of the inputs, its name is too long, or its folder
            does not exist or is not writable.
    """
    try:
        problem = _problem(path, inputs)
    except OSError as error:
        problem = error.strerror or str(error)
    except RuntimeError:
        problem = "is a symbolic link that leads to itself"
    if problem:
        raise UsageError(f"{option} {path}: {problem}")


def _problem(path: Path, inputs: Iterable[Path]) -> str:
    """Return why a file cannot be written there; empty if it can."""
    place = path.resolve()
    if place.exists() and not place.is_file():
        return "is not a regular file"
    if place.exists() and any(each.exists() and place.samefile(each) for each in inputs):
        return "is a file that this command reads"
    if len(os.fsencode(path.name)) > LONGEST_NAME:
        return f"its name is longer than {LONGEST_NAME} bytes"
    if not (place.parent.is_dir() and os.access(place.parent, os.W_OK)):
        return "its folder does not exist or is not writable"
    return ""


def write_output(option: str, path: Path, text: str, *, otherwise: str | None = None) -> None:
    """Write a file that others may read, whole or not at all; through a link, the file it leads to.

    Args:
        option: The option that names it.
        path: The file.
        text: Its content.
        otherwise: The command that gets the same content elsewhere.

    Raises:
        LlmopsError: It cannot be written.
    """
    try:
        home.write_whole(path.resolve(), text, shared=True)
    except OSError as error:
        raise LlmopsError(
            f"{option} {path}: cannot be written: {error.strerror}", next_command=otherwise
        ) from error
