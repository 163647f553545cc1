"""Private names of MLflow, all in one place, each with its MLflow release and the reason for it.

``tests/unit/store/test_compat.py`` fails when a release drops one of them or no longer needs it.
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
