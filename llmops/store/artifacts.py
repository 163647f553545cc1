"""Artifacts of logged models and runs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llmops.errors import IntegrityError
from llmops.store.connection import client, store_errors

BARS = "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"


def download(uri: str, target: str) -> str:
    """Download a model's files into ``target``; return the local directory."""
    import mlflow

    with quietly(f"downloading {uri}"):
        return str(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=target))


def read_json(run_id: str, path: str) -> dict[str, Any]:
    """Return a JSON artifact of a run.

    Raises:
        IntegrityError: The file holds something else than a JSON object.
        StoreError: There is no such file, or the store does not answer.
    """
    text = read_text(run_id, path)
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError, RecursionError) as error:
        raise IntegrityError(f"{path} of run {run_id}: not a JSON object: {error}") from error


def read_text(run_id: str, path: str) -> str:
    """Return a text artifact of a run.

    Raises:
        StoreError: There is no such file, or the store does not answer.
    """
    import mlflow

    with quietly(f"reading {path} of run {run_id}"):
        return str(mlflow.artifacts.load_text(f"runs:/{run_id}/{path}"))


def write_text(run_id: str, text: str, path: str) -> None:
    """Write a text artifact of a run."""
    with store_errors(f"writing {path} of run {run_id}"):
        client().log_text(run_id, text, path)


def upload(run_id: str, file: Path, folder: str) -> None:
    """Copy a local file into a folder of a run's artifacts."""
    with quietly(f"writing {folder}/{file.name} of run {run_id}"):
        client().log_artifact(run_id, str(file), folder)


def files_in(run_id: str, folder: str) -> tuple[str, ...]:
    """Return the paths of the files in a folder of a run's artifacts; none if it does not exist."""
    with store_errors(f"listing {folder} of run {run_id}"):
        found = client().list_artifacts(run_id, folder)
    return tuple(sorted(entry.path for entry in found if not entry.is_dir))


def run_has_file(run_id: str, name: str) -> bool:
    """Return whether a run has an artifact of this name at the top level."""
    with store_errors(f"listing run {run_id}"):
        return any(entry.path == name for entry in client().list_artifacts(run_id))


@contextmanager
def quietly(doing: str) -> Iterator[None]:
    """Hide MLflow's progress bar for each file, and raise its errors as ``StoreError``."""
    chosen = os.environ.get(BARS)
    os.environ[BARS] = chosen or "false"
    try:
        with store_errors(doing):
            yield
    finally:
        if chosen is None:
            os.environ.pop(BARS, None)
