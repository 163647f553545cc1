"""Artifacts of logged models and runs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
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
    import mlflow

    with quietly(f"reading {path} of run {run_id}"):
        text = mlflow.artifacts.load_text(f"runs:/{run_id}/{path}")
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError, RecursionError) as error:
        raise IntegrityError(f"{path} of run {run_id}: not a JSON object: {error}") from error


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
