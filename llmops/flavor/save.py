"""Saving a model to a directory in MLflow's format, without logging it."""

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
    """Save a model in MLflow's format; the directory appears complete or not at all.

    Args:
        model: A model in any form that ``log_model`` takes.
        path: Directory to write; must not exist or be empty.
        base: Base of an adapter, see ``log_model``; it is registered, since the directory only
            pins it.
        tokenizer: A tokenizer or its directory, to use instead of the model's own.
        adapter_name: The adapter to save, of a PeftModel that has several.
        revision: Branch, tag or commit of a hub id.
        mlflow_model: The ``mlflow.models.Model`` to fill in; by default a new one.
        **options: Arguments of every MLflow flavor, see ``log_model``.

    Raises:
        UsageError: ``path`` is not empty, the input is no model, or an argument does not apply.
        NotFoundError: A file, the directory, the hub id or the base does not exist.
        IntegrityError: A file is damaged, or the adapter does not fit its base.
        StoreError: The base cannot be found or registered, because the store refuses or does not
            answer.

    Example:
        from llmops.flavor import save_model

        save_model("path/to/peft-adapter", "saved", base="smollm2-135m-instruct")
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
