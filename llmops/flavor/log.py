"""Logging a model into the active MLflow run, with a registered version if requested."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from llmops.files import home, staging
from llmops.flavor.collect import collect
from llmops.flavor.options import LogOptions, SaveOptions, SourceOptions
from llmops.flavor.register import log_source
from llmops.records import BaseModel


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
    """Log a model into the active MLflow run; register it if a name is given.

    Args:
        model: A live ``PeftModel``, a transformers model, a PEFT adapter directory (the base's
            weights are not read), a model directory, or a hub id ``OWNER/NAME`` of either.
        name: Name of the LoggedModel; by default registered name, rank and digest.
        base: Base of an adapter, see ``ensure_base``; by default as its configuration says.
        tokenizer: A tokenizer or its directory, to use instead of the model's own.
        adapter_name: The adapter to log, of a PeftModel that has several.
        revision: Branch, tag or commit of a hub id.
        registered_model_name: Registered model that gets a new version.
        alias: Alias that moves to the new version.
        params: Parameters of the LoggedModel, besides those of the run.
        tags: Tags of the LoggedModel.
        step: Step of the run whose metrics are copied to the LoggedModel.
        **options: ``signature``, ``metadata`` and others, as in every MLflow flavor.

    Returns:
        MLflow's ``ModelInfo``; ``registered_model_version`` is set if a version was registered.

    Raises:
        UsageError: The input is no model, or an argument does not apply to it.
        LlmopsError: Files are missing, damaged or unsafe, the adapter does not fit its base, or the
            store refuses; nothing of the model is left in the store.

    Example:
        import mlflow
        from llmops.flavor import log_model

        with mlflow.start_run():
            log_model("peft-adapter", base="my-base", registered_model_name="mine")
    """
    meant = SourceOptions(base, tokenizer, adapter_name, revision)
    chosen = LogOptions(name, registered_model_name, alias, params, tags, step, options)
    return _log(model, meant, chosen)


def _log(model: Any, meant: SourceOptions, options: LogOptions) -> Any:
    with home.writing(f"model {options.label}".strip()), staging.staging() as folder:
        return log_source(collect(model, folder, meant), options)
