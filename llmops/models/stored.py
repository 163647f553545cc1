"""The small files of a logged model, where the store or a directory keeps them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llmops.errors import NotFoundError, UsageError
from llmops.models import pin as pins
from llmops.models.pin import Pin
from llmops.store.artifacts import quietly
from llmops.store.connection import store_errors


class ModelArtifacts:
    """The small files of a logged model or a version, where the store keeps them.

    Args:
        uri: ``models:/NAME/VERSION``, ``models:/m-…`` or ``runs:/…``.

    Raises:
        StoreError: The store refuses or does not answer.
    """

    def __init__(self, uri: str) -> None:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        self.uri = uri
        with store_errors(f"reading {uri}"), _found(uri):
            # Not `mlflow.artifacts`: that takes `models:/m-ID/PATH` for a registered model's name.
            self._repository = get_artifact_repository(uri)
            self._listed = list(self._repository.list_artifacts(None))

    def pin(self) -> tuple[Pin, str | None]:
        """The pin that lies beside the model, and the logged model's id.

        The files, not tags, are the truth: they travel with a copy to another registered model.

        Raises:
            UsageError: The model was not logged by ``llmops.flavor``.
            IntegrityError: The pin is damaged.
        """
        if pins.FILE not in {file.path for file in self._listed}:
            raise UsageError(
                f"{self.uri} is not a version that llmops logged",
                next_command="log the model with `llmops.log_model`, or name a version that `llmops run` registered",
            )
        with self._fetched(pins.FILE, "MLmodel") as (file, mlmodel):
            return pins.confirmed(file, mlmodel, self.uri), pins.model_id(mlmodel.parent)

    def files(self, *folders: str) -> dict[str, int | None]:
        """Path → bytes of the files, and of those in some of the folders."""
        listed = list(self._listed)
        with store_errors(f"listing {self.uri}"):
            for folder in folders:
                if any(entry.is_dir and entry.path == folder for entry in self._listed):
                    listed += self._repository.list_artifacts(folder)
        return {entry.path: entry.file_size for entry in listed if not entry.is_dir}

    def text(self, path: str) -> str:
        """A small file."""
        with self._fetched(path) as (file,):
            return file.read_text(encoding="utf-8", errors="replace")

    @contextmanager
    def _fetched(self, *paths: str) -> Iterator[list[Path]]:
        with (
            quietly(f"reading {self.uri}"),
            tempfile.TemporaryDirectory(prefix="llmops-") as folder,
        ):
            yield [Path(self._repository.download_artifacts(path, folder)) for path in paths]


@contextmanager
def _found(uri: str) -> Iterator[None]:
    """MLflow's word for a run, a model or a version that does not exist."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        raise NotFoundError(
            f"{uri}: no such model: {error.message}",
            next_command="name one that is there, such as models:/NAME/1 or models:/NAME@champion",
        ) from error


class SavedModel:
    """The same of a directory on this machine.

    Args:
        directory: Holds at least ``MLmodel`` and ``base.json``.
    """

    def __init__(self, directory: Path) -> None:
        self.uri = str(directory)
        self._directory = directory

    def pin(self) -> tuple[Pin, str | None]:
        """See ``ModelArtifacts.pin``."""
        return pins.read(self._directory), pins.model_id(self._directory)

    def files(self, *folders: str) -> dict[str, int | None]:
        """See ``ModelArtifacts.files``."""
        searched = [self._directory, *(self._directory / folder for folder in folders)]
        return {
            path.relative_to(self._directory).as_posix(): path.stat().st_size
            for folder in searched
            if folder.is_dir()
            for path in folder.iterdir()
            if path.is_file()
        }

    def text(self, path: str) -> str:
        """See ``ModelArtifacts.text``."""
        return (self._directory / path).read_text(encoding="utf-8", errors="replace")


def read_pin(uri: str) -> Pin:
    """The pin that lies beside a logged model; see ``ModelArtifacts.pin``."""
    return ModelArtifacts(uri).pin()[0]
