"""Saving: a directory in MLflow's format, without a store."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Unpack

from llmops.errors import UsageError
from llmops.files import staging
from llmops.flavor.collect import collect
from llmops.flavor.options import SaveOptions, SourceOptions, check_save_options
from llmops.flavor.write import whole, write
from llmops.records import BaseModel


def save_model(
    model: Any,
    path: str | Path,
    *,
    base: str | BaseModel | None = None,
    tokenizer: Any = None,
    adapter_name: str | None = None,
    revision: str | None = None,
    mlflow_model: Any = None,
    **options: Unpack[SaveOptions],
) -> None:
    """Save a model in MLflow's format; it appears whole or not at all.

    Args:
        model: As ``log_model`` takes it.
        path: Directory to write; must not exist or be empty.
        base: Base of an adapter; it is registered, since the directory only pins it.
        tokenizer: A tokenizer or a directory with one.
        adapter_name: Which adapter of a PeftModel that has several.
        revision: Branch, tag or commit of a hub id.
        mlflow_model: The ``mlflow.models.Model`` to fill in; by default a new one.
        **options: What every MLflow flavor takes, see ``SaveOptions``.

    Raises:
        UsageError: ``path`` holds something, or the model is none that can be saved.
        LlmopsError: A file is missing, damaged or unsafe; the adapter does not fit its base.
    """
    import mlflow

    target = Path(path)
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise UsageError(f"{target}: exists and is not an empty directory; name a new one")
    check_save_options(options)
    meant = SourceOptions(base, tokenizer, adapter_name, revision)
    with staging.staging() as folder, whole(target) as partial:
        source = collect(model, folder, meant)
        filled_in = mlflow.models.Model() if mlflow_model is None else mlflow_model
        write(source, partial, filled_in, options)
