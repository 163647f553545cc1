"""Registration of collected files: a logged model and its version appear together or not at all."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from llmops.errors import LlmopsError
from llmops.flavor import write
from llmops.flavor.describe import describe
from llmops.flavor.options import LogOptions
from llmops.flavor.source import Source
from llmops.models import compat, vllm_limits
from llmops.models.stored import SavedModel
from llmops.progress import say
from llmops.store import connection, registry, unfinished
from llmops.store import tags as names
from llmops.store.unfinished import Mark

NOT_IN_A_NAME = re.compile(r"[/:.%\"']")
"""Characters that the name of a LoggedModel must not hold, although a registered model's may."""


def log_source(source: Source, options: LogOptions) -> Any:
    """Log files that were checked already; register them if a name is given.

    Args:
        source: The files.
        options: Names, tags and metrics of the model in the store.

    Returns:
        MLflow's ``ModelInfo``.

    Raises:
        StoreError: The store refuses or does not answer; nothing is left behind.
    """
    model_name = options.registered_model_name
    source = replace(source, name=options.label or source.name)
    with _logged_model(source, options) as (logged, mark):
        info = _upload(source, logged, options)
        version, created = None, False
        if model_name is not None:
            tags = _version_tags(source, options.version_tags)
            version, created = register(mark, logged.model_id, info.run_id, tags)
            info.registered_model_version = int(version)
        unfinished.finish(mark, logged.model_id, registered_model=created)
    if model_name is not None and version is not None:
        _present(model_name, version, options.alias, SavedModel(source.folder))
    return info


def _upload(source: Source, logged: Any, options: LogOptions) -> Any:
    """Write the files in MLflow's format into a logged model that was created."""
    from mlflow.models import Model

    with connection.store_errors(f"logging model {logged.name}"):
        return Model.log(
            artifact_path=None,
            name=logged.name,
            flavor=write,
            model_id=logged.model_id,
            step=options.step,
            model=source,
            **options.save,
        )


def register(
    mark: Mark, model_id: str, run_id: str | None, tags: Mapping[str, str]
) -> tuple[str, bool]:
    """Register a logged model.

    Args:
        mark: The mark of this logging call, with the name of the registered model.
        model_id: The logged model.
        run_id: The run that it was logged in, if any.
        tags: Tags of the version.

    Returns:
        The version, and whether the registered model is new.

    Raises:
        StoreError: The store refuses or does not answer.
    """
    from mlflow.exceptions import MlflowException

    client = connection.client()
    with connection.store_errors(f"registering {mark.name}"):
        try:
            client.create_registered_model(mark.name, tags=mark.tags)
            created = True
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            created = False
        version = client.create_model_version(
            mark.name, f"models:/{model_id}", run_id=run_id, tags=dict(tags), model_id=model_id
        )
        try:
            # As `mlflow.register_model` does: the page of the logged model lists its versions.
            versions = json.dumps([{"name": mark.name, "version": str(version.version)}])
            client.set_logged_model_tags(model_id, {"mlflow.modelVersions": versions})
        except BaseException:  # the caller removes the logged model; no version may point to it
            client.delete_model_version(mark.name, version.version)
            raise
    return str(version.version), created


@contextmanager
def _logged_model(source: Source, options: LogOptions) -> Iterator[tuple[Any, Mark]]:
    """Create a logged model; remove it again if the block fails."""
    import mlflow

    name = options.name or _name(source)
    run = mlflow.active_run()
    with connection.store_errors(f"logging model {name}"):
        experiment_id = run.info.experiment_id if run else compat.current_experiment()
        # MLflow copies the run's parameters to a model, but not if it is given the model's id.
        inherited = connection.client().get_run(run.info.run_id).data.params if run else {}
    own = {key: str(value) for key, value in (options.params or {}).items()}
    mark = unfinished.begin(experiment_id, options.registered_model_name)
    try:
        with connection.store_errors(f"logging model {name}"):
            logged = mlflow.initialize_logged_model(
                name=NOT_IN_A_NAME.sub("-", name),
                source_run_id=run.info.run_id if run else None,
                experiment_id=experiment_id,
                params={**inherited, **own},
                tags={**_model_tags(source), **(options.tags or {}), **mark.tags},
            )
        yield logged, mark
    except BaseException:
        _undo(mark)
        raise


def _model_tags(source: Source) -> dict[str, str]:
    """Return tags that make a logged model searchable by what it is made of."""
    pin = source.pin()
    tags = {names.BASE_DIGEST: pin.digest}
    if pin.adapter_digest is not None:
        reason = vllm_limits.unservable(source.config)
        tags[names.ADAPTER_DIGEST] = pin.adapter_digest
        tags[names.SERVABLE] = "yes" if reason is None else f"no: {reason}"
    return tags


def _version_tags(source: Source, tags: Mapping[str, str] | None) -> dict[str, str]:
    """Return the version's tags; one says if vLLM cannot serve it, as its page has little room."""
    reason = None if source.base is None else vllm_limits.unservable(source.config)
    return {**(tags or {}), **({} if reason is None else {names.SERVABLE: f"no: {reason}"})}


def _name(source: Source) -> str:
    rank = f"-r{source.config['r']}" if source.config else ""
    return f"{source.name}{rank}-{source.digest[:6]}"


def _present(name: str, version: str, alias: str | None, copy: SavedModel) -> None:
    """Write the description of a version, and move its alias."""
    describe(name, version, copy)
    if alias is not None:
        registry.set_alias(name, alias, version)


def _undo(mark: Mark) -> None:
    """Remove what was created; a failure is only a warning, since another one led here."""
    try:
        unfinished.undo(mark)
    except LlmopsError as error:
        say(f"warning: the unfinished logged model could not be removed: {error}")
