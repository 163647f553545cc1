"""Runs that are open while a process writes them; those of a killed process are found and ended.

The run bears the token of its writer until it ends. The token is noted before the run is created,
so a process that is killed in between leaves no run that cannot be found.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from llmops.errors import StoreError
from llmops.files import staging
from llmops.store import connection
from llmops.store.tags import UNFINISHED

TOKEN, TRACKING = "run_token", "run_tracking"
PARENT = "mlflow.parentRunId"


@contextmanager
def open_run(title: str, tags: Mapping[str, str]) -> Iterator[Any]:
    """Start a run and end it with the block: FINISHED, or FAILED if the block raises.

    Args:
        title: Name of the run.
        tags: Its tags.

    Yields:
        MLflow's ``RunInfo``.

    Raises:
        StoreError: The MLflow store refuses or does not answer.
    """
    import mlflow

    token = uuid.uuid4().hex
    with staging.staging():
        tracking = connection.absolute(mlflow.get_tracking_uri())
        staging.note(**{TOKEN: token, TRACKING: tracking})
        with connection.store_errors(f"starting the run {title!r}"):
            within = mlflow.active_run() is not None  # such as that of `mlflow.models.evaluate`
            marked = {**tags, UNFINISHED: token}
            run = mlflow.start_run(run_name=title, tags=marked, nested=within)
        status = "FAILED"
        try:
            yield run.info
            status = "FINISHED"
        finally:
            _end(run.info.run_id, status)


def _end(run_id: str, status: str) -> None:
    """End a run; if the store refuses, keep the note, so that the run can be ended later."""
    import mlflow

    try:
        with connection.store_errors(f"ending run {run_id}"):
            mlflow.end_run(status)
            connection.client().delete_tag(run_id, UNFINISHED)
    except StoreError:
        staging.keep()
        raise


def end_noted(notes: Mapping[str, str]) -> list[str]:
    """End the run that a killed process had noted, and the runs below it, as KILLED.

    Returns:
        A description of each run that was ended; nothing if none was open.

    Raises:
        StoreError: The store refuses or does not answer.
    """
    ended = []
    with connection.store_errors(f"ending a run in {notes.get(TRACKING)}"):
        for client, run in _noted(notes):
            if run.info.status == "RUNNING":
                client.set_terminated(run.info.run_id, "KILLED")
                ended.append(f"open run {run.info.run_id}")
            if UNFINISHED in run.data.tags:
                client.delete_tag(run.info.run_id, UNFINISHED)
    return ended


def _noted(notes: Mapping[str, str]) -> Iterator[tuple[Any, Any]]:
    """Yield a client with each run that the notes lead to: children first, then their parent."""
    if TOKEN not in notes:
        return
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=notes[TRACKING])
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    for parent in client.search_runs(experiments, f"tags.`{UNFINISHED}` = '{notes[TOKEN]}'"):
        below = client.search_runs(experiments, f"tags.`{PARENT}` = '{parent.info.run_id}'")
        for run in [*below, parent]:
            yield client, run
