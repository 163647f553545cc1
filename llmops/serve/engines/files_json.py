"""The files of a version as JSON, for an engine process or the database, and a check of their bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from llmops.errors import IntegrityError
from llmops.models import adapters, bases, safety
from llmops.records import BaseModel, ModelFiles

FOLDERS = ("adapter_dir", "tokenizer_dir")


def to_json(files: ModelFiles) -> dict[str, Any]:
    """Return the files of a version as JSON has them; folders become text."""
    record = asdict(files)
    record["base"]["directory"] = str(files.base.directory)
    for name in FOLDERS:
        record[name] = None if record[name] is None else str(record[name])
    return record


def from_json(record: Mapping[str, Any]) -> ModelFiles:
    """Return the files of a version that ``to_json`` wrote.

    Raises:
        IntegrityError: The record is damaged.
    """
    try:
        own: dict[str, Any] = {field.name: record.get(field.name) for field in fields(ModelFiles)}
        base: dict[str, Any] = dict(record["base"])
        base["directory"] = Path(base["directory"])
        for name in FOLDERS:
            own[name] = None if own[name] is None else Path(own[name])
        files = ModelFiles(**{**own, "base": BaseModel(**base)})
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityError(f"the record of a version's files is damaged: {error!r}") from error
    if not isinstance(files.uri, str) or not isinstance(files.base.digest, str):
        raise IntegrityError("the record of a version's files is damaged: it lacks URI or digest")
    return files


def verify(files: ModelFiles) -> None:
    """Check that the bytes in the folders have the recorded digests.

    All bytes of a base are read the first time, and again after a file changed.

    Raises:
        NotFoundError: A folder is missing.
        IntegrityError: The bytes differ.
    """
    base = files.base
    if base.directory == bases.cache_dir(base.digest) and base.directory.is_dir():
        bases.verify(base.directory, base.digest)
    else:
        bases.at(base.directory, base.digest)
    if files.adapter_dir is None:
        return
    for folder in (files.adapter_dir, files.tokenizer_dir):
        if folder is not None:
            safety.check_inside(folder)
    actual = adapters.parts_digest(files.adapter_dir, files.tokenizer_dir)
    if actual != files.adapter_digest:
        raise IntegrityError(
            f"{files.adapter_dir}: expected digest {str(files.adapter_digest)[:16]}…, found"
            f" {actual[:16]}…: the bytes differ"
        )
