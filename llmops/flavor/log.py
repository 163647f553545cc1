"""Logging: a model into the active MLflow run, and a registered version of it if asked."""

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
    """Log a model into the active MLflow run, and register it if asked.

    Args:
        model: A live ``PeftModel``, a transformers model, a PEFT adapter directory (the base's
            weights are not read), a model directory, or a hub id ``OWNER/NAME`` of either.
        name: Name of the LoggedModel; by default made of the registered name, rank and digest.
        base: Base of an adapter, see ``SourceOptions``; it is registered, once.
        tokenizer: A tokenizer or a directory with one, where the model's own is not right.
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
        LlmopsError: Damaged, unsafe, not of its base, or not storable; nothing is left behind.
    """
    chosen = LogOptions(
        name=name,
        registered_model_name=registered_model_name,
        alias=alias,
        params=params,
        tags=tags,
        step=step,
        save=options,
    )
    return _log(model, SourceOptions(base, tokenizer, adapter_name, revision), chosen)


def _log(model: Any, meant: SourceOptions, options: LogOptions) -> Any:
    with home.writing(f"model {options.label}".strip()), staging.staging() as folder:
        return log_source(collect(model, folder, meant), options)
