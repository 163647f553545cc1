"""Collected files written in MLflow's format: an adapter with its pin, or a full model."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Unpack

from llmops.files import home, staging
from llmops.flavor.options import SaveOptions
from llmops.flavor.signature import default_signature
from llmops.flavor.source import Source
from llmops.models import adapters, bases, compat, pin

FLAVOR_NAME = pin.FLAVOR
"""Name of the flavor in ``MLmodel``."""
LOADER = "llmops.flavor"
PYTHON_PACKAGES = ("mlflow-llmops", "mlflow", "torch", "transformers", "peft")
REQUIREMENTS = "requirements.txt"
MODEL_CONFIG = {
    "dtype": "auto",
    "device": "auto",
    "attention": None,
    "quantization": None,
    "base": None,
}
"""Defaults of ``LoadOptions``: all its fields, as MLflow lets a caller override only saved ones."""


def save_model(
    model: Source, path: str | Path, *, mlflow_model: Any, **options: Unpack[SaveOptions]
) -> None:
    """Write collected files for ``Model.log``, which calls this module as a flavor.

    Args:
        model: The files; MLflow's small files are copied beside them too.
        path: MLflow's temporary folder, noted so that it is removed after a kill.
        mlflow_model: The ``mlflow.models.Model`` to fill in and to save.
        **options: See ``SaveOptions``.
    """
    target = Path(path)
    staging.note(written=str(target.resolve()))
    with whole(target) as partial:
        write(model, partial, mlflow_model, options)
        for name in (pin.FILE, "MLmodel", REQUIREMENTS):  # the folder is now a complete copy
            shutil.copyfile(partial / name, model.folder / name)


@contextmanager
def whole(target: Path) -> Iterator[Path]:
    """Yield a folder beside the target; rename it to the target at the end."""
    partial = target.with_name(f".{target.name}.partial-{uuid.uuid4().hex[:12]}")
    staging.note(partial=str(partial.resolve()))
    partial.mkdir(parents=True)
    try:
        yield partial
        if target.exists():
            target.rmdir()
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write(source: Source, target: Path, mlflow_model: Any, options: SaveOptions) -> None:
    """Write a model's files, its pin and what MLflow needs into an empty folder.

    Args:
        source: The collected files.
        target: The folder.
        mlflow_model: The ``mlflow.models.Model`` to fill in and to save.
        options: Arguments of every MLflow flavor.
    """
    for name in (adapters.ADAPTER_FOLDER, adapters.TOKENIZER_FOLDER, bases.MODEL_FOLDER):
        if (source.folder / name).is_dir():
            shutil.copytree(source.folder / name, target / name, copy_function=home.link_or_copy)
    pinned = source.pin()
    (target / pin.FILE).write_text(pinned.text(), encoding="utf-8")
    _describe(mlflow_model, target, options)
    _write_environment(mlflow_model, target, options)
    mlflow_model.add_flavor(FLAVOR_NAME, **pinned.flavor_conf())
    mlflow_model.model_size_bytes = sum(f.stat().st_size for f in target.rglob("*") if f.is_file())
    mlflow_model.save(str(target / "MLmodel"))


def _describe(model: Any, target: Path, options: SaveOptions) -> None:
    """Fill in signature, example and metadata."""
    model.signature = options.get("signature") or default_signature()
    if options.get("input_example") is not None:
        compat.save_example(model, options["input_example"], target)
    if options.get("metadata"):
        model.metadata = dict(options["metadata"])


def _write_environment(model: Any, target: Path, options: SaveOptions) -> None:
    """Add the python_function entry and the environment files, as MLflow's own flavors do."""
    import mlflow

    requirements = list(options.get("pip_requirements") or _requirements())
    requirements += options.get("extra_pip_requirements") or []
    config = {**MODEL_CONFIG, **(options.get("model_config") or {})}
    mlflow.pyfunc.add_to_model(
        model,
        loader_module=LOADER,
        conda_env=compat.CONDA_FILE,
        python_env=compat.PYTHON_FILE,
        model_config=config,
        streamable=True,
    )
    compat.write_environments(target, requirements)
    (target / REQUIREMENTS).write_text("\n".join(requirements) + "\n", encoding="utf-8")


def _requirements() -> list[str]:
    """Return the exact versions of the packages that load the model, without ``+cpu`` and the like."""
    from importlib.metadata import PackageNotFoundError, version

    pins = []
    for package in PYTHON_PACKAGES:
        try:
            pins.append(f"{package}=={version(package).split('+')[0]}")
        except PackageNotFoundError:
            pins.append(package)
    return pins
