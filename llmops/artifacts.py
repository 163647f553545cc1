"""Files of logged models and runs, as the store holds them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llmops import pin as pins
from llmops.errors import UsageError
from llmops.pin import Pin
from llmops.store import client, store_errors

BARS = "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"


def read_pin(uri: str) -> Pin:
    """The pin that lies beside a logged model; see ``read_pinned``."""
    return read_pinned(uri)[0]


def read_pinned(uri: str) -> tuple[Pin, str | None]:
    """The pin that lies beside a logged model, and the model's id.

    The files, not tags, are the truth: they travel with a copy to another registered model.

    Raises:
        UsageError: The model was not logged by ``llmops.flavor``.
        IntegrityError: The pin is damaged.
    """
    with _quietly(f"reading {uri}"), tempfile.TemporaryDirectory(prefix="llmops-") as folder:
        repository = _repository(uri)
        listed = {file.path for file in repository.list_artifacts(None)}
        if pins.FILE not in listed:
            raise UsageError(
                f"{uri} is not a version that llmops logged",
                next_command="log the model with `llmops.log_model`, or name a version that `llmops run` registered",
            )
        file, mlmodel = (
            Path(repository.download_artifacts(name, folder)) for name in (pins.FILE, "MLmodel")
        )
        return pins.confirmed(file, mlmodel, uri), pins.model_id(mlmodel.parent)


def download(uri: str, target: str) -> str:
    """Downloads a model's files; returns the local directory."""
    import mlflow

    with _quietly(f"downloading {uri}"):
        return str(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=target))


def read_json(run_id: str, path: str) -> dict[str, Any]:
    """A JSON artifact of a run."""
    import mlflow

    with _quietly(f"reading {path} of run {run_id}"):
        return dict(mlflow.artifacts.load_dict(f"runs:/{run_id}/{path}"))


def list_files(uri: str, *folders: str) -> dict[str, int | None]:
    """Path → bytes of a model's files, and of those in some of its folders."""
    with store_errors(f"listing {uri}"):
        repository = _repository(uri)
        listed = list(repository.list_artifacts(None))
        for folder in folders:
            if any(entry.is_dir and entry.path == folder for entry in listed):
                listed += repository.list_artifacts(folder)
    return {entry.path: entry.file_size for entry in listed if not entry.is_dir}


def run_has_file(run_id: str, name: str) -> bool:
    """Whether a run has an artifact of this name, not in a folder."""
    with store_errors(f"listing run {run_id}"):
        return any(entry.path == name for entry in client().list_artifacts(run_id))


def read_text(uri: str, path: str) -> str:
    """A small file of a model."""
    with (
        store_errors(f"reading {path} of {uri}"),
        tempfile.TemporaryDirectory(prefix="llmops-") as folder,
    ):
        file = _repository(uri).download_artifacts(path, folder)
        return Path(file).read_text(encoding="utf-8", errors="replace")


def _repository(uri: str) -> Any:
    """The files of a model. MLflow takes ``models:/m-ID/PATH`` for a registered model's name."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    return get_artifact_repository(uri)


@contextmanager
def _quietly(doing: str) -> Iterator[None]:
    """MLflow draws a bar for each small file; ours say what takes long."""
    chosen = os.environ.get(BARS)
    os.environ[BARS] = chosen or "false"
    try:
        with store_errors(doing):
            yield
    finally:
        if chosen is None:
            os.environ.pop(BARS, None)
