"""Writing a model in MLflow's format: an adapter with its pin, or a full model."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypedDict, Unpack

from llmops.errors import UsageError
from llmops.files import home, staging
from llmops.flavor.signature import default_signature
from llmops.flavor.source import Source, collect
from llmops.models import adapters, bases, load_options, pin
from llmops.models.pin import Pin
from llmops.records import BaseModel

FLAVOR_NAME = pin.FLAVOR
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
"""Fields of ``LoadOptions``. MLflow lets a caller override only what was saved."""


class SaveOptions(TypedDict, total=False):
    """What every MLflow flavor takes.

    Attributes:
        signature: Replaces ours, which names the parameters.
        input_example: Saved beside the model; MLflow then tries the model once with it.
        metadata: Free entries of the ``MLmodel`` file.
        pip_requirements: Replaces the requirements.
        extra_pip_requirements: Added to them.
        model_config: Defaults of the fields of ``LoadOptions``.
        validate_serving_input: Whether MLflow tries the example against a served model.
    """

    signature: Any
    input_example: Any
    metadata: Mapping[str, Any]
    pip_requirements: list[str]
    extra_pip_requirements: list[str]
    model_config: Mapping[str, Any]
    validate_serving_input: bool


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
    """Saves a model in MLflow's format; it appears whole or not at all.

    Args:
        model: See ``log_model``.
        path: Directory to write; must not exist or be empty.
        base: See ``log_model``.
        tokenizer: See ``log_model``.
        adapter_name: See ``log_model``.
        revision: See ``log_model``.
        mlflow_model: The ``mlflow.models.Model`` that ``Model.log`` hands in.
        **options: See ``SaveOptions``.

    Raises:
        UsageError: ``path`` holds something, or the model is none that can be saved.
        LlmopsError: A file is missing, damaged or unsafe; the adapter does not fit its base.
    """
    target = Path(path)
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise UsageError(f"{target}: exists and is not an empty directory; name a new one")
    check_options(options)
    if isinstance(model, Source):  # `log_model` collected it; MLflow's temporary folder is noted
        staging.note(written=str(target.resolve()))
        with _whole(target) as partial:
            _write(model, partial, mlflow_model, options)
            for name in (pin.FILE, "MLmodel", REQUIREMENTS):  # the folder is a whole copy now
                shutil.copyfile(partial / name, model.folder / name)
        return None
    with staging.staging() as folder, _whole(target) as partial:
        source = collect(
            model,
            folder,
            base=base,
            tokenizer=tokenizer,
            adapter_name=adapter_name,
            revision=revision,
        )
        return _write(source, partial, mlflow_model, options)


def check_options(options: SaveOptions) -> None:
    """Refuses what would be stored and fail later.

    Raises:
        UsageError: An option that MLflow's flavors do not have, or a ``model_config`` that cannot
            be loaded with.
    """
    unknown = sorted(set(options) - set(SaveOptions.__annotations__))
    if unknown:
        raise UsageError(
            f"unknown argument {', '.join(unknown)}; allowed besides those of the signature:"
            f" {', '.join(SaveOptions.__annotations__)}"
        )
    load_options.read(options.get("model_config") or {}, "model_config")
    for name in ("pip_requirements", "extra_pip_requirements"):
        value = options.get(name)
        if value is not None and not (
            isinstance(value, list) and all(isinstance(line, str) for line in value)
        ):
            raise UsageError(f"{name} must be a list of requirements, received {value!r:.80}")


def pin_of(source: Source) -> Pin:
    """What ``base.json`` will say."""
    if source.base is None:
        return Pin(base=source.name, digest=source.digest, origin=source.origin)
    return Pin(
        base=source.base.name,
        digest=source.base.digest,
        source=source.base.uri if pin.SOURCE.fullmatch(source.base.uri) else None,
        origin=source.base.origin,
        adapter_digest=source.digest,
    )


@contextmanager
def _whole(target: Path) -> Iterator[Path]:
    """A folder beside the target that takes its name at the end."""
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


def _write(source: Source, target: Path, mlflow_model: Any, options: SaveOptions) -> None:
    import mlflow

    model = mlflow.models.Model() if mlflow_model is None else mlflow_model
    for name in (adapters.ADAPTER_FOLDER, adapters.TOKENIZER_FOLDER, bases.MODEL_FOLDER):
        if (source.folder / name).is_dir():
            shutil.copytree(source.folder / name, target / name, copy_function=home.link_or_copy)
    found = pin_of(source)
    (target / pin.FILE).write_text(found.text(), encoding="utf-8")
    _describe(model, target, options)
    _write_environment(model, target, options)
    model.add_flavor(FLAVOR_NAME, **found.flavor_conf())
    model.model_size_bytes = sum(f.stat().st_size for f in target.rglob("*") if f.is_file())
    model.save(str(target / "MLmodel"))


def _describe(model: Any, target: Path, options: SaveOptions) -> None:
    """Signature, example and metadata."""
    from mlflow.models.utils import _save_example

    model.signature = options.get("signature") or default_signature()
    if options.get("input_example") is not None:
        _save_example(model, options["input_example"], str(target))
    if options.get("metadata"):
        model.metadata = dict(options["metadata"])


def _write_environment(model: Any, target: Path, options: SaveOptions) -> None:
    """The python_function entry and the environment files, as MLflow's own flavors write them."""
    import mlflow
    from mlflow.utils.environment import _CONDA_ENV_FILE_NAME, _mlflow_conda_env, _PythonEnv

    requirements = list(options.get("pip_requirements") or _requirements())
    requirements += options.get("extra_pip_requirements") or []
    config = {**MODEL_CONFIG, **(options.get("model_config") or {})}
    mlflow.pyfunc.add_to_model(
        model,
        loader_module=LOADER,
        conda_env=_CONDA_ENV_FILE_NAME,
        python_env="python_env.yaml",
        model_config=config,
        streamable=True,
    )
    _mlflow_conda_env(path=str(target / _CONDA_ENV_FILE_NAME), additional_pip_deps=requirements)
    _PythonEnv.current().to_yaml(str(target / "python_env.yaml"))
    (target / REQUIREMENTS).write_text("\n".join(requirements) + "\n", encoding="utf-8")


def _requirements() -> list[str]:
    """Exact versions of what loads the model; local build tags such as ``+cpu`` are dropped."""
    from importlib.metadata import PackageNotFoundError, version

    pins = []
    for package in PYTHON_PACKAGES:
        try:
            pins.append(f"{package}=={version(package).split('+')[0]}")
        except PackageNotFoundError:
            pins.append(package)
    return pins
