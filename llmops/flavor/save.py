"""Writing a model to a directory: an adapter with its pin, or a whole base model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from llmops import bases, digest
from llmops.engine.resolve import ADAPTER_FOLDER, BASE_FILE
from llmops.errors import IntegrityError, NotFoundError
from llmops.records import BaseModel

FLAVOR_NAME = "llmops"
LOADER = "llmops.flavor"
PIN_VERSION = 1
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
PYTHON_PACKAGES = ("mlflow-llmops", "mlflow", "torch", "transformers", "peft")


def save_model(
    path: str | Path,
    *,
    adapter_dir: str | Path | None = None,
    base: BaseModel | None = None,
    base_dir: str | Path | None = None,
    base_name: str | None = None,
    mlflow_model: Any = None,
) -> None:
    """Saves a model in MLflow's format.

    Args:
        path: Directory to write; must not exist or be empty.
        adapter_dir: PEFT adapter directory; needs ``base``.
        base: The registered base the adapter belongs to.
        base_dir: Directory of a whole model instead of an adapter.
        base_name: Name that a whole model is known by.
        mlflow_model: The ``mlflow.models.Model`` that ``Model.log`` hands in.

    Raises:
        ValueError: Not exactly one of ``adapter_dir`` and ``base_dir``.
        NotFoundError: A file of the adapter is missing.
    """
    if (adapter_dir is None) == (base_dir is None):
        raise ValueError("save_model needs an adapter_dir (with its base) or a base_dir, not both")
    target = Path(path)
    target.mkdir(parents=True, exist_ok=True)
    if base_dir is not None:
        pin = _write_base(Path(base_dir), target, base_name)
    elif base is not None:
        pin = _write_adapter(Path(str(adapter_dir)), base, target)
    else:
        raise ValueError("an adapter_dir needs its base")
    pin = {"schema_version": PIN_VERSION, **pin}
    (target / BASE_FILE).write_text(json.dumps(pin, indent=2) + "\n", encoding="utf-8")
    _write_mlmodel(target, pin, mlflow_model)


def check_adapter(adapter_dir: Path) -> dict[str, Any]:
    """The adapter's PEFT configuration, once its files are found to be whole.

    Raises:
        NotFoundError: A file is missing.
        IntegrityError: The configuration or the tensor file is not readable.
    """
    from safetensors import SafetensorError, safe_open

    for name in ADAPTER_FILES:
        if not (adapter_dir / name).is_file():
            raise NotFoundError(
                f"{adapter_dir}: no {name}; a PEFT adapter directory has {' and '.join(ADAPTER_FILES)}"
            )
    try:
        config = json.loads((adapter_dir / ADAPTER_FILES[0]).read_text(encoding="utf-8"))
        with safe_open(adapter_dir / ADAPTER_FILES[1], framework="np") as tensors:
            tensors.keys()
    except (ValueError, SafetensorError) as error:
        raise IntegrityError(f"{adapter_dir}: damaged adapter: {error}") from error
    return dict(config)


def _write_adapter(adapter_dir: Path, base: BaseModel, target: Path) -> dict[str, Any]:
    config = check_adapter(adapter_dir)
    folder = target / ADAPTER_FOLDER
    folder.mkdir()
    # The directory on the training machine means nothing elsewhere; the pin says which base.
    config["base_model_name_or_path"] = base.name
    if isinstance(config.get("target_modules"), list):
        config[
            "target_modules"
        ].sort()  # PEFT writes a set in random order; same adapter, same bytes
    (folder / ADAPTER_FILES[0]).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    shutil.copyfile(adapter_dir / ADAPTER_FILES[1], folder / ADAPTER_FILES[1])
    return {
        "base": base.name,
        "source": base.uri,
        "digest": base.digest,
        "adapter_digest": digest.of_model(folder),
    }


def _write_base(base_dir: Path, target: Path, name: str | None) -> dict[str, Any]:
    bases.check_safe(base_dir)
    folder = target / bases.MODEL_FOLDER
    folder.mkdir()
    for file in digest.model_files(base_dir):
        shutil.copyfile(file, folder / file.name)
    return {"base": name or base_dir.name, "digest": digest.of_model(folder)}


def _write_mlmodel(target: Path, pin: dict[str, Any], mlflow_model: Any) -> None:
    """``MLmodel`` and the environment files, as MLflow's own flavors write them."""
    import mlflow
    from mlflow.utils.environment import _CONDA_ENV_FILE_NAME, _mlflow_conda_env, _PythonEnv

    model = mlflow.models.Model() if mlflow_model is None else mlflow_model
    requirements = _requirements()
    mlflow.pyfunc.add_to_model(
        model,
        loader_module=LOADER,
        conda_env=_CONDA_ENV_FILE_NAME,
        python_env="python_env.yaml",
        model_config={"dtype": "auto"},
        streamable=True,
    )
    model.add_flavor(FLAVOR_NAME, **pin)
    model.model_size_bytes = sum(f.stat().st_size for f in target.rglob("*") if f.is_file())
    _mlflow_conda_env(path=str(target / _CONDA_ENV_FILE_NAME), additional_pip_deps=requirements)
    _PythonEnv.current().to_yaml(str(target / "python_env.yaml"))
    (target / "requirements.txt").write_text("\n".join(requirements) + "\n")
    model.save(str(target / "MLmodel"))


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
