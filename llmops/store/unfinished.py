"""Marks on unfinished models, so that a logging call that was killed can be found and undone.

A logged model, and a registered model created for it, carry the mark of the logging call until it
ends. The mark is noted before either is created, so a process that is killed in between leaves
nothing that cannot be found.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from llmops.errors import StoreError, masked
from llmops.files import staging
from llmops.store.connection import absolute, store_errors
from llmops.store.tags import UNFINISHED


@dataclass(frozen=True)
class Mark:
    """One logging call, and where to search for what it began.

    Attributes:
        token: Value of the tag.
        experiment_id: Experiment of the logged model.
        tracking: URI of the store that gets the logged model, its password masked: it is noted in
            a file.
        registry: URI of the registry that gets the version, masked likewise.
        name: Registered model that gets a version; empty if the model is not registered.
    """

    token: str
    experiment_id: str
    tracking: str
    registry: str
    name: str

    @property
    def tags(self) -> dict[str, str]:
        """Tags of the logged model and of a registered model that is created for it."""
        return {UNFINISHED: self.token}

    def client(self) -> Any:
        """Return a client of the stores that were in use when the call began.

        Raises:
            StoreError: A store's URI had a password, and is not that of the current store.
        """
        import mlflow

        return mlflow.MlflowClient(
            tracking_uri=_with_password(self.tracking), registry_uri=_with_password(self.registry)
        )


def begin(experiment_id: str, name: str | None) -> Mark:
    """Return a new mark, noted in the current staging folder."""
    import mlflow

    token = uuid.uuid4().hex
    tracking, registry = (
        masked(absolute(uri)) for uri in (mlflow.get_tracking_uri(), mlflow.get_registry_uri())
    )
    mark = Mark(token, experiment_id, tracking, registry, name or "")
    staging.note(**asdict(mark))
    return mark


def noted(notes: Mapping[str, str]) -> Mark | None:
    """Return the mark in the notes of a killed process, ``None`` if it had not begun a model."""
    return Mark(**{key: notes[key] for key in Mark.__annotations__}) if "token" in notes else None


def finish(mark: Mark, model_id: str, *, registered_model: bool) -> None:
    """Remove the mark: the model is complete."""
    with store_errors(f"finishing logged model {model_id}"):
        mark.client().delete_logged_model_tag(model_id, UNFINISHED)
        if registered_model:
            mark.client().delete_registered_model_tag(mark.name, UNFINISHED)


def undo(mark: Mark) -> list[str]:
    """Remove what an unfinished logging call began; keep a model that is complete.

    Returns:
        A description of each thing that was removed.

    Raises:
        StoreError: The store refuses or does not answer.
    """
    with store_errors(f"removing an unfinished model from {mark.tracking}"):
        client = mark.client()
        versions = [] if not mark.name else client.search_model_versions(f"name = '{mark.name}'")
        models = client.search_logged_models(
            [mark.experiment_id], filter_string=f"tags.`{UNFINISHED}` = '{mark.token}'"
        )
        removed = []
        for model in models:
            if _complete(model, mark, versions):
                client.delete_logged_model_tag(model.model_id, UNFINISHED)
            else:
                client.delete_logged_model(model.model_id)
                removed.append(f"logged model {model.model_id}")
        if _registered_model_is_ours(client, mark):
            if versions:
                client.delete_registered_model_tag(mark.name, UNFINISHED)
            else:
                client.delete_registered_model(mark.name)
                removed.append(f"registered model {mark.name}")
    return removed


def _complete(model: Any, mark: Mark, versions: list[Any]) -> bool:
    """Return whether a model is registered, or ready if no version was requested."""
    from mlflow.entities import LoggedModelStatus

    if mark.name:  # MLflow 3.17's SQL store keeps no model_id with a version, only its source
        source = f"models:/{model.model_id}"
        return any(source == v.source or model.model_id == v.model_id for v in versions)
    return bool(model.status == LoggedModelStatus.READY)


def _registered_model_is_ours(client: Any, mark: Mark) -> bool:
    from mlflow.exceptions import MlflowException

    if not mark.name:
        return False
    try:
        return bool(client.get_registered_model(mark.name).tags.get(UNFINISHED) == mark.token)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise


def _with_password(uri: str) -> str:
    """Return a noted URI with its password, which only the environment of this process can know."""
    import mlflow

    current = (mlflow.get_tracking_uri(), mlflow.get_registry_uri())
    known = next((own for own in current if masked(own) == uri), uri)
    if known == uri and "***" in uri:
        raise StoreError(
            f"{uri}: its password is not known here",
            next_command="set MLFLOW_TRACKING_URI to the store's full URI, then rerun",
        )
    return known
