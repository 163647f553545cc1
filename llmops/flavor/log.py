"""Logging and registering: a version appears whole, or not at all."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llmops import digest, registry
from llmops.config import check_model_name
from llmops.errors import LlmopsError
from llmops.flavor.save import check_adapter
from llmops.records import BaseModel, ModelVersion


def log_model(
    adapter_dir: str | Path | None = None,
    *,
    base: str | BaseModel | None = None,
    base_dir: str | Path | None = None,
    name: str,
    registered_model_name: str | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    version_tags: Mapping[str, str] | None = None,
    step: int = 0,
) -> Any:
    """Logs a model into the active MLflow run, and registers it if asked.

    Args:
        adapter_dir: PEFT adapter directory. The base's weights are not read.
        base: The adapter's base: a record, or a name as in ``train.base`` of a recipe.
        base_dir: Directory of a whole model, instead of an adapter.
        name: Name of the LoggedModel.
        registered_model_name: Registered model that gets a new version.
        params: Parameters of the LoggedModel.
        tags: Tags of the LoggedModel.
        version_tags: Tags of the registered version.
        step: Training step whose metrics belong to the model.

    Returns:
        MLflow's ``ModelInfo``; ``registered_model_version`` is set if a version was registered.

    Raises:
        LlmopsError: The model cannot be written or registered; nothing is left behind.
    """
    import mlflow
    from mlflow.models import Model

    from llmops.flavor.base import ensure_base

    if registered_model_name is not None:
        check_model_name(registered_model_name)
    if isinstance(base, str):
        base = ensure_base(base)
    run = mlflow.active_run()
    with registry.store_errors(f"logging model {name}"):
        logged = mlflow.initialize_logged_model(
            name=name,
            source_run_id=run.info.run_id if run else None,
            params={key: str(value) for key, value in (params or {}).items()},
            tags=dict(tags or {}),
        )
    try:
        with registry.store_errors(f"logging model {name}"):
            info = Model.log(
                artifact_path=None,
                name=name,
                flavor=sys.modules["llmops.flavor"],
                model_id=logged.model_id,
                step=step,
                adapter_dir=adapter_dir,
                base=base,
                base_dir=base_dir,
                base_name=registered_model_name or name,
            )
        if registered_model_name is not None:
            version = register(registered_model_name, logged.model_id, info.run_id, version_tags)
            info._registered_model_version = int(version)
    except BaseException as error:
        _forget(logged.model_id)
        if isinstance(error, OSError):
            raise LlmopsError(
                f"model {name}: cannot be written: {error}; nothing was registered",
                next_command="free disk space or permissions, then the same command again: it resumes",
            ) from error
        raise
    return info


def log_adapter(
    adapter_dir: Path,
    base: BaseModel,
    *,
    name: str,
    alias: str | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    step: int = 0,
) -> ModelVersion:
    """Logs an adapter and registers it as a new version of ``name``.

    Args:
        adapter_dir: PEFT adapter directory.
        base: Its base model.
        name: Registered model.
        alias: Alias that moves to the new version.
        params: Parameters of the LoggedModel.
        tags: Tags of the LoggedModel.
        step: Training step whose metrics belong to the model.

    Returns:
        The registered version.
    """
    config = check_adapter(adapter_dir)
    short = digest.of_model(adapter_dir)[:6]
    info = log_model(
        adapter_dir,
        base=base,
        name=f"{name}-r{config['r']}-{short}",
        registered_model_name=name,
        params=params,
        tags={registry.BASE_DIGEST: base.digest, **(tags or {})},
        step=step,
    )
    version = registry.get_version(name, str(info.registered_model_version))
    registry.annotate_logged_model(
        version.model_id, registry.ADAPTER_DIGEST, version.adapter_digest
    )
    if alias is not None:
        registry.set_alias(name, alias, version.version)
    return version


def register(
    name: str, model_id: str, run_id: str | None, tags: Mapping[str, str] | None = None
) -> str:
    """Registers a logged model; returns the version. A new registered model does not outlive a failure."""
    from mlflow.exceptions import MlflowException

    client = registry.client()
    with registry.store_errors(f"registering {name}"):
        try:
            client.create_registered_model(name)
            created = True
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            created = False
        found = None
        try:
            found = client.create_model_version(
                name, f"models:/{model_id}", run_id=run_id, tags=dict(tags or {}), model_id=model_id
            )
            # What `mlflow.register_model` does too: the logged model's page lists its versions.
            versions = json.dumps([{"name": name, "version": str(found.version)}])
            client.set_logged_model_tags(model_id, {"mlflow.modelVersions": versions})
        except BaseException:  # the caller removes the logged model: no version may point to it
            if created:
                client.delete_registered_model(name)
            elif found is not None:
                client.delete_model_version(name, found.version)
            raise
    return str(found.version)


def _forget(model_id: str) -> None:
    """Removes a logged model whose files never became whole."""
    from mlflow.exceptions import MlflowException

    try:
        registry.client().delete_logged_model(model_id)
    except MlflowException as error:  # the first failure matters more than this one
        from llmops.progress import say

        say(
            f"warning: the unfinished logged model {model_id} could not be removed: {error.message}"
        )
