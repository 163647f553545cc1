"""The small files of a logged model, in the store or in a directory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llmops.errors import NotFoundError, UsageError
from llmops.files.staging import staging
from llmops.models import pin as pins
from llmops.models.pin import Pin
from llmops.store.artifacts import quietly
from llmops.store.connection import store_errors


class ModelArtifacts:
    """The small files of a logged model or a version in the store.

    Args:
        uri: ``models:/NAME/VERSION``, ``models:/m-…`` or ``runs:/…``.

    Raises:
        NotFoundError: There is no such model, version or run.
        StoreError: The store refuses or does not answer.
    """

    def __init__(self, uri: str) -> None:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        self.uri = uri
        with store_errors(f"reading {uri}"), _missing(uri):
            # Not `mlflow.artifacts`, which reads `models:/m-ID/PATH` as the name of a registered model.
            self._repository = get_artifact_repository(uri)
            self._listed = list(self._repository.list_artifacts(None))

    def pin(self) -> tuple[Pin, str | None]:
        """Return the model's pin, and the id of the logged model.

        Both are read from files, not tags: files come along when a version is copied.

        Raises:
            UsageError: llmops did not log the model.
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
        """Return the size in bytes of each file by path, at the top level and in ``folders``."""
        listed = list(self._listed)
        with store_errors(f"listing {self.uri}"):
            for folder in folders:
                if any(entry.is_dir and entry.path == folder for entry in self._listed):
                    listed += self._repository.list_artifacts(folder)
        return {entry.path: entry.file_size for entry in listed if not entry.is_dir}

    def text(self, path: str) -> str:
        """Return the text of a small file."""
        with self._fetched(path) as (file,):
            return file.read_text(encoding="utf-8", errors="replace")

    @contextmanager
    def _fetched(self, *paths: str) -> Iterator[list[Path]]:
        with quietly(f"reading {self.uri}"), staging() as folder:
            yield [Path(self._repository.download_artifacts(path, str(folder))) for path in paths]


@contextmanager
def _missing(uri: str) -> Iterator[None]:
    """Turn MLflow's error for a missing run, model or version into ``NotFoundError``."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        raise NotFoundError(
            f"{uri}: no such model: {error.message}",
            next_command="name an existing one, such as models:/NAME/1 or models:/NAME@champion",
        ) from error


class SavedModel:
    """The small files of a saved model in a directory on this machine.

    Args:
        directory: Holds at least ``MLmodel`` and ``base.json``.
    """

    def __init__(self, directory: Path) -> None:
        self.uri = str(directory)
        self._directory = directory

    def pin(self) -> tuple[Pin, str | None]:
        """Return what ``ModelArtifacts.pin`` returns."""
        return pins.read(self._directory), pins.model_id(self._directory)

    def files(self, *folders: str) -> dict[str, int | None]:
        """Return what ``ModelArtifacts.files`` returns."""
        searched = [self._directory, *(self._directory / folder for folder in folders)]
        return {
            path.relative_to(self._directory).as_posix(): path.stat().st_size
            for folder in searched
            if folder.is_dir()
            for path in folder.iterdir()
            if path.is_file()
        }

    def text(self, path: str) -> str:
        """Return what ``ModelArtifacts.text`` returns."""
        return (self._directory / path).read_text(encoding="utf-8", errors="replace")


def read_pin(uri: str) -> Pin:
    """Return the pin of a logged model; see ``ModelArtifacts.pin``."""
    return ModelArtifacts(uri).pin()[0]
