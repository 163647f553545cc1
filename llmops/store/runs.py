"""Runs and logged models in MLflow's tracking store."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any

from llmops.store.connection import client, store_errors
from llmops.store.tags import EVIDENCE, KIND, SECONDS_PER_PROMPT

RECENT = 5
"""Comparisons from which the speed of the next one is estimated."""
EVIDENCE_PREFIX = re.compile(r"[0-9a-f]{12,64}")
"""Tag ``llmops.evidence`` of a version: the first digits of its evidence's digest."""


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


def mark_as_training(run_id: str) -> None:
    """Keep a run off MLflow's page of evaluation runs, where every run without a model stands.

    A training that fails, or is not finished yet, has no model. Its output here is a logged model that is
    deleted at once, so no page lists it. A run that has an output already stays as it is.
    """
    from mlflow.entities import LoggedModelOutput

    with store_errors(f"run {run_id}"):
        run = client().get_run(run_id)
        if run.outputs is not None and run.outputs.model_outputs:
            return
        model = client().create_logged_model(run.info.experiment_id, source_run_id=run_id)
        client().log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
        client().finalize_logged_model(model.model_id, "FAILED")
        client().delete_logged_model(model.model_id)


def rename_run(run_id: str, name: str) -> None:
    """Set the name of a run that the UI shows."""
    with store_errors(f"run {run_id}"):
        client().update_run(run_id, name=name)


def run_of_evidence(prefix: str) -> str | None:
    """Return the newest run, in any experiment, whose evidence has a digest with this beginning.

    Args:
        prefix: At least 12 hexadecimal digits.

    Returns:
        The run's id; ``None`` if there is none, or if the prefix is no such digits, which would be a
        pattern for the store.
    """
    if not EVIDENCE_PREFIX.fullmatch(prefix):
        return None
    with store_errors(f"searching for a run with the tag {EVIDENCE}"):
        experiments = [experiment.experiment_id for experiment in client().search_experiments()]
        runs = client().search_runs(
            experiments, f"tags.`{EVIDENCE}` LIKE '{prefix}%'", max_results=1
        )
    return str(runs[0].info.run_id) if runs else None


def measured_pace(experiment: str) -> float | None:
    """Return the seconds for a prompt in the slowest of an experiment's newest comparisons.

    The slowest one, because cached answers make the others look fast.

    Args:
        experiment: Name of the experiment, which may not exist yet.

    Returns:
        Wall time of a prompt, all sides included; ``None`` without a finished comparison.
    """
    with store_errors(f"experiment {experiment}"):
        found = client().get_experiment_by_name(experiment)
        if found is None:
            return None
        runs = client().search_runs(
            [found.experiment_id],
            f"tags.`{KIND}` = 'ab' AND attributes.status = 'FINISHED'",
            max_results=RECENT,
        )
    paces = [run.data.params.get(SECONDS_PER_PROMPT) for run in runs]
    return max((float(pace) for pace in paces if pace is not None), default=None)


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
