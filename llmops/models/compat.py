"""Private names of other libraries, all in one place: library, release and reason of each.

``tests/unit/models/test_compat.py`` fails when a release drops one of them or no longer needs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

CONDA_FILE = "conda.yaml"
PYTHON_FILE = "python_env.yaml"


def current_experiment() -> str:
    """Return the id of the experiment in which a new run would be created.

    mlflow 3.17 ``tracking.fluent._get_experiment_id``: ``set_experiment`` keeps its choice in a
    private variable, and no public function returns it while no run is active.
    """
    from mlflow.tracking.fluent import _get_experiment_id

    return str(_get_experiment_id())


def save_example(model: Any, example: Any, folder: Path) -> None:
    """Write an input example beside a model, and name it in its ``MLmodel``.

    mlflow 3.17 ``models.utils._save_example``: what each of MLflow's own flavors calls; the
    format of the files is not public.

    Args:
        model: The ``mlflow.models.Model``.
        example: Any input that the model accepts.
        folder: The model's directory.
    """
    from mlflow.models.utils import _save_example

    _save_example(model, example, str(folder))


def write_environments(folder: Path, requirements: Sequence[str]) -> None:
    """Write ``conda.yaml`` and ``python_env.yaml``, as MLflow's own flavors do.

    mlflow 3.17 ``utils.environment._mlflow_conda_env`` and ``_PythonEnv``: the files from which
    ``mlflow models build-docker`` builds an environment; no public function writes them.

    Args:
        folder: The model's directory.
        requirements: Lines of a pip requirements file.
    """
    from mlflow.utils.environment import _mlflow_conda_env, _PythonEnv

    _mlflow_conda_env(path=str(folder / CONDA_FILE), additional_pip_deps=list(requirements))
    _PythonEnv.current().to_yaml(str(folder / PYTHON_FILE))


def keeps_default_cache(model: Any) -> bool:
    """Return whether a model keeps keys and values in a ``DynamicCache``.

    transformers 5.23 ``PreTrainedModel._supports_default_dynamic_cache``: ``generate`` checks the
    same; nothing public distinguishes such a model from one with its own state, such as RWKV.
    """
    return bool(model._supports_default_dynamic_cache())


def takes_logits_to_keep(model: Any) -> bool:
    """Return whether a model's ``forward`` can leave out the logits of earlier positions.

    transformers 5.23 ``PreTrainedModel._supports_logits_to_keep``: ``generate`` checks the same; the
    signature of ``forward`` does not show it where a model takes it by ``**kwargs``.
    """
    return bool(model._supports_logits_to_keep())


def disable_adapters(layer: Any, disabled: bool) -> None:
    """Switch the adapters of one LoRA layer off or on, and change nothing else.

    PEFT 0.21 ``BaseTunerLayer._disable_adapters``: the public ``enable_adapters`` also sets
    ``requires_grad`` of every parameter: 100 ms for 210 layers, for each batch.
    """
    layer._disable_adapters = disabled


def replace_weight(module: Any, weight: Any) -> None:
    """Give a shallow copy of a module its own weight.

    torch 2.9 ``Module._parameters``: ``copy.copy`` shares this dictionary with the original, so
    that assigning ``module.weight`` would change the original's too.

    Args:
        module: A ``copy.copy`` of a module with a parameter ``weight``.
        weight: A ``Parameter`` of the same shape.
    """
    module._parameters = {**module._parameters, "weight": weight}
