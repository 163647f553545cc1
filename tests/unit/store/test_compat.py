"""Says when a private name of MLflow is gone, or has a public way."""

from __future__ import annotations

import json
from pathlib import Path

import mlflow
import yaml

from llmops.store import compat


def test_the_experiment_is_the_one_that_was_set(store: str) -> None:
    assert compat.current_experiment() == mlflow.get_experiment_by_name("tests").experiment_id
    mlflow.set_experiment("other")
    with mlflow.start_run() as run:
        assert compat.current_experiment() == run.info.experiment_id


def test_nothing_public_tells_the_experiment_without_a_run() -> None:
    public = [name for name in dir(mlflow) if "experiment" in name and not name.startswith("_")]
    assert not {"get_experiment_id", "active_experiment", "current_experiment"} & set(public), (
        "MLflow tells it now: use that"
    )


def test_an_example_is_saved_where_mlflow_looks_for_it(tmp_path: Path) -> None:
    model = mlflow.models.Model()
    compat.save_example(model, {"messages": [{"role": "user", "content": "a"}]}, tmp_path)
    file = tmp_path / model.saved_input_example_info["artifact_path"]
    assert json.loads(file.read_text())["messages"][0]["content"] == "a"
    assert model.load_input_example(str(tmp_path))["messages"][0]["role"] == "user"


def test_environments_name_the_requirements(tmp_path: Path) -> None:
    compat.write_environments(tmp_path, ["torch==2.9", "peft"])
    conda = yaml.safe_load((tmp_path / compat.CONDA_FILE).read_text())
    (pip,) = (entry["pip"] for entry in conda["dependencies"] if isinstance(entry, dict))
    assert {"torch==2.9", "peft"} <= set(pip)
    python = yaml.safe_load((tmp_path / compat.PYTHON_FILE).read_text())
    assert "-r requirements.txt" in python["dependencies"]
