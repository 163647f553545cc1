"""Logging and registering: a version appears whole, or not at all."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Unpack

from llmops.errors import LlmopsError, UsageError
from llmops.files import home, staging
from llmops.flavor.describe import describe
from llmops.flavor.save import SaveOptions, check_options, pin_of
from llmops.flavor.source import Source, collect
from llmops.models import vllm_limits
from llmops.models.stored import SavedModel
from llmops.progress import say
from llmops.records import BaseModel
from llmops.records.names import check_alias, check_model_name
from llmops.store import connection, registry, unfinished
from llmops.store import tags as names
from llmops.store.unfinished import Mark

NOT_IN_A_NAME = re.compile(r"[/:.%\"']")
"""What a registered model's name may hold, or a version number, and a LoggedModel's may not."""


def log_model(
    model: Any,
    name: str | None = None,
    *,
    base: str | BaseModel | None = None,
    tokenizer: Any = None,
    adapter_name: str | None = None,
    revision: str | None = None,
    registered_model_name: str | None = None,
    alias: str | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    step: int = 0,
    **options: Unpack[SaveOptions],
) -> Any:
    """Logs a model into the active MLflow run, and registers it if asked.

    Args:
        model: A live ``PeftModel``, a transformers model, a PEFT adapter directory (the base's
            weights are not read), a model directory, or a hub id ``OWNER/NAME`` of either.
        name: Name of the LoggedModel; by default made of the registered name, rank and digest.
        base: Base of an adapter: a record, or a name, a directory or a hub id as ``llmops base
            add`` takes; by default what its ``adapter_config.json`` names. It is registered, once.
        tokenizer: A tokenizer or a directory with one, for a full model that has none beside it,
            or for an adapter that was trained with another chat template than its base's.
        adapter_name: Which adapter of a PeftModel that has several.
        revision: Branch, tag or commit of a hub id.
        registered_model_name: Registered model that gets a new version.
        alias: Alias that moves to the new version.
        params: Parameters of the LoggedModel, besides those of the run.
        tags: Tags of the LoggedModel.
        step: Step of the run whose metrics belong to the model.
        **options: What every MLflow flavor takes, see ``SaveOptions``.

    Returns:
        MLflow's ``ModelInfo``; ``registered_model_version`` is set if a version was registered.

    Raises:
        UsageError: Not a model, or an argument that does not belong to it.
        LlmopsError: The model is damaged or unsafe, does not fit its base, or cannot be written
            or registered; nothing is left behind.
    """
    if registered_model_name is not None:
        check_model_name(registered_model_name)
    if alias is not None:
        check_alias(alias)
        if registered_model_name is None:
            raise UsageError(f"alias={alias!r} needs registered_model_name: it names a version")
    check_options(options)
    with (
        home.writing(f"model {registered_model_name or name or ''}".strip()),
        staging.staging() as folder,
    ):
        source = collect(
            model,
            folder,
            base=base,
            tokenizer=tokenizer,
            adapter_name=adapter_name,
            revision=revision,
        )
        return log_source(
            source,
            name=name,
            registered_model_name=registered_model_name,
            alias=alias,
            params=params,
            tags=tags,
            step=step,
            **options,
        )


def log_source(
    source: Source,
    *,
    name: str | None = None,
    registered_model_name: str | None = None,
    alias: str | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    version_tags: Mapping[str, str] | None = None,
    step: int = 0,
    **options: Unpack[SaveOptions],
) -> Any:
    """Logs files that were checked already.

    Args:
        source: The files.
        name: See ``log_model``.
        registered_model_name: See ``log_model``.
        alias: See ``log_model``.
        params: See ``log_model``.
        tags: See ``log_model``.
        version_tags: Tags of the registered version.
        step: See ``log_model``.
        **options: See ``log_model``.
    """
    from mlflow.models import Model

    source = replace(source, name=registered_model_name or name or source.name)
    with _logged_model(name or _name(source), source, registered_model_name, params, tags) as begun:
        logged, mark = begun
        with connection.store_errors(f"logging model {logged.name}"):
            info = Model.log(
                artifact_path=None,
                name=logged.name,
                flavor=sys.modules["llmops.flavor"],
                model_id=logged.model_id,
                step=step,
                model=source,
                **options,
            )
        made = False
        if registered_model_name is not None:
            version, made = register(
                mark, logged.model_id, info.run_id, _version_tags(source, version_tags)
            )
            info._registered_model_version = int(version)
        unfinished.finish(mark, logged.model_id, registered_model=made)
    if registered_model_name is not None:
        _present(registered_model_name, version, alias, SavedModel(source.folder))
    return info


def register(
    mark: Mark, model_id: str, run_id: str | None, tags: Mapping[str, str]
) -> tuple[str, bool]:
    """Registers a logged model; returns the version, and whether the registered model is new."""
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
        found = client.create_model_version(
            mark.name, f"models:/{model_id}", run_id=run_id, tags=dict(tags), model_id=model_id
        )
        try:
            # What `mlflow.register_model` does too: the logged model's page lists its versions.
            versions = json.dumps([{"name": mark.name, "version": str(found.version)}])
            client.set_logged_model_tags(model_id, {"mlflow.modelVersions": versions})
        except BaseException:  # the caller removes the logged model: no version may point to it
            client.delete_model_version(mark.name, found.version)
            raise
    return str(found.version), created


@contextmanager
def _logged_model(
    name: str,
    source: Source,
    registered_model_name: str | None,
    params: Mapping[str, Any] | None,
    tags: Mapping[str, str] | None,
) -> Iterator[tuple[Any, Mark]]:
    """A logged model that is removed again if it does not become whole."""
    import mlflow
    from mlflow.tracking.fluent import _get_experiment_id

    run = mlflow.active_run()
    with connection.store_errors(f"logging model {name}"):
        experiment_id = run.info.experiment_id if run else _get_experiment_id()
        # MLflow gives a model its run's parameters; not if it gets the model's id, as below
        inherited = connection.client().get_run(run.info.run_id).data.params if run else {}
    mark = unfinished.begin(experiment_id, registered_model_name)
    try:
        with connection.store_errors(f"logging model {name}"):
            logged = mlflow.initialize_logged_model(
                name=NOT_IN_A_NAME.sub("-", name),
                source_run_id=run.info.run_id if run else None,
                experiment_id=experiment_id,
                params={**inherited, **{key: str(value) for key, value in (params or {}).items()}},
                tags={**_model_tags(source), **(tags or {}), **mark.tags},
            )
        yield logged, mark
    except BaseException:
        _undo(mark)
        raise


def _model_tags(source: Source) -> dict[str, str]:
    """What the logged model is made of, searchable."""
    found = pin_of(source)
    tags = {names.BASE_DIGEST: found.digest}
    if found.adapter_digest is not None:
        reason = vllm_limits.unservable(source.config)
        tags[names.ADAPTER_DIGEST] = found.adapter_digest
        tags[names.SERVABLE] = "yes" if reason is None else f"no: {reason}"
    return tags


def _version_tags(source: Source, tags: Mapping[str, str] | None) -> dict[str, str]:
    """A version shows few tags: that vLLM refuses it is worth one."""
    reason = None if source.base is None else vllm_limits.unservable(source.config)
    return {**(tags or {}), **({} if reason is None else {names.SERVABLE: f"no: {reason}"})}


def _name(source: Source) -> str:
    rank = f"-r{source.config['r']}" if source.config else ""
    return f"{source.name}{rank}-{source.digest[:6]}"


def _present(name: str, version: str, alias: str | None, copy: SavedModel) -> None:
    """What a person sees first: the description, and where the alias points."""
    describe(name, version, copy)
    if alias is not None:
        registry.set_alias(name, alias, version)


def _undo(mark: Mark) -> None:
    """Removes what was begun; the failure that led here matters more than one of this."""
    try:
        unfinished.undo(mark)
    except LlmopsError as error:
        say(f"warning: the unfinished logged model could not be removed: {error}")
