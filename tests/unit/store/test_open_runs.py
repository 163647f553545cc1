"""A run that is open while it is written: ended by its block, or by the garbage collection."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import mlflow
import pytest

from llmops.errors import StoreError
from llmops.files import home, staging
from llmops.files.staging import Leftover
from llmops.models import inventory
from llmops.store import connection, open_runs
from llmops.store.tags import UNFINISHED

KILLED = """
import os, signal
import mlflow
from llmops.store import open_runs

mlflow.set_experiment("tests")
with open_runs.open_run("v2 vs v1", {"llmops.kind": "ab"}) as run:
    print(run.run_id, flush=True)
    mlflow.start_run(run_name="v2", nested=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def info(run_id: str) -> Any:
    return connection.client().get_run(run_id)


def killed(folder: Path) -> tuple[str, Leftover]:
    """The run of a process that was killed while it wrote, and what it left on this machine."""
    line = [sys.executable, "-W", "ignore", "-c", KILLED]
    # The default store is named relative to the working directory.
    environment = {**os.environ, "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db"}
    done = subprocess.run(
        line, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    for lock in home.folder("staging").glob("*.lock"):
        os.utime(lock, (time.time() - 60, time.time() - 60))
    (leftover,) = staging.leftovers()
    return done.stdout.strip(), leftover


@pytest.mark.parametrize(("error", "status"), [(None, "FINISHED"), (KeyError, "FAILED")])
def test_a_run_ends_as_its_block_does(store: str, error: Any, status: str) -> None:
    try:
        with open_runs.open_run("v2 vs v1", {"llmops.kind": "ab"}) as run:
            assert info(run.run_id).info.status == "RUNNING"
            if error:
                raise error
    except KeyError:
        pass
    ended = info(run.run_id)
    assert ended.info.status == status
    assert ended.data.tags["llmops.kind"] == "ab"
    assert UNFINISHED not in ended.data.tags
    assert list(home.folder("staging").iterdir()) == []


def test_the_runs_of_a_killed_process_are_ended(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id, leftover = killed(tmp_path)
    assert info(run_id).info.status == "RUNNING"
    experiment = info(run_id).info.experiment_id
    others = connection.client().create_run(experiment).info.run_id
    monkeypatch.chdir("/")  # a relative store would be another one here
    removed = inventory.collect(leftover)
    assert len([what for what in removed if what.startswith("open run ")]) == 2
    assert f"open run {run_id}" in removed
    runs = connection.client().search_runs([experiment])
    states = {run.info.run_id: run.info.status for run in runs}
    assert states.pop(others) == "RUNNING", "somebody else's"
    assert list(states.values()) == ["KILLED", "KILLED"]
    assert staging.leftovers() == []
    assert open_runs.end_noted(leftover.notes) == []


def test_a_process_killed_before_its_run_began_left_none(store: str) -> None:
    notes = {open_runs.TOKEN: "0" * 32, open_runs.TRACKING: store}
    assert open_runs.end_noted(notes) == []
    assert open_runs.end_noted({}) == []


def test_a_run_that_the_store_does_not_end_can_be_ended_later(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("the server is gone")

    with monkeypatch.context() as patched:
        patched.setattr(mlflow, "end_run", refuse)
        with pytest.raises(StoreError, match="ending run"), open_runs.open_run("x", {}) as run:
            pass
    mlflow.tracking.fluent._active_run_stack.get().pop()
    (leftover,) = inventory.garbage()
    assert inventory.described(leftover).endswith(f", and its open run in {store}")
    assert inventory.collect(leftover) == [str(leftover.folder), f"open run {run.run_id}"]
    assert info(run.run_id).info.status == "KILLED"
