"""Runs and logged models in MLflow's tracking store."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from llmops.store.connection import client, store_errors


@contextlib.contextmanager
def resumed_run(run_id: str) -> Iterator[None]:
    """Make a finished run the active one, so that a model is logged as its output."""
    import mlflow

    with store_errors(f"run {run_id}"):
        mlflow.start_run(run_id=run_id)
    status = "FAILED"
    try:
        yield
        status = "FINISHED"
    finally:
        mlflow.end_run(status)


def rename_run(run_id: str, name: str) -> None:
    """Set the name of a run that the UI shows."""
    with store_errors(f"run {run_id}"):
        client().update_run(run_id, name=name)


def run_with_tag(key: str, pattern: str) -> str | None:
    """Return the id of the newest run, in any experiment, whose tag matches a ``LIKE`` pattern."""
    with store_errors(f"searching for a run with the tag {key}"):
        experiments = [experiment.experiment_id for experiment in client().search_experiments()]
        runs = client().search_runs(experiments, f"tags.`{key}` LIKE '{pattern}'", max_results=1)
    return str(runs[0].info.run_id) if runs else None


def find_logged_model(model_id: str) -> Any | None:
    """Return a logged model, ``None`` if this store has no model with this id."""
    return _existing(f"logged model {model_id}", lambda: client().get_logged_model(model_id))


def find_run(run_id: str) -> Any | None:
    """Return a run, ``None`` if this store has no run with this id."""
    return _existing(f"run {run_id}", lambda: client().get_run(run_id))


def is_usable(run_id: str) -> bool:
    """Return whether this store has a run, and did not move it to the trash."""
    run = find_run(run_id)
    return run is not None and str(run.info.lifecycle_stage) == "active"


def _existing(what: str, read: Callable[[], Any]) -> Any | None:
    from mlflow.exceptions import MlflowException

    with store_errors(what):
        try:
            return read()
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise
