"""The files of a version as JSON, for an engine process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from llmops.errors import IntegrityError
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
