"""A log, and the writes of a gate, that are killed at a chosen moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from mlflow import MlflowClient

from llmops.files import home

WRITES = (
    *("log_text", "set_tag", "delete_tag", "set_logged_model_tags", "update_model_version"),
    *("set_model_version_tag", "delete_model_version_tag", "set_registered_model_tag"),
)
"""Methods of MLflow's client with which a gate writes its record."""

LEDGER_WRITES = (
    *("create_experiment", "create_run", "update_run", "set_experiment_tag", "rename_experiment"),
    *("search_experiments", "delete_experiment", "set_registered_model_tag", "log_param"),
    *("update_model_version", "set_logged_model_tags", "set_model_version_tag"),
    "set_registered_model_alias",
)
"""Methods of MLflow's client with which a promotion or a rollback writes, and one that it reads with."""

KILLED_AT = """
import os, signal, sys
import mlflow
from llmops import flavor
mlflow.set_experiment("tests")
where, adapter = sys.argv[1:]
def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)
if where == "collect":
    from llmops.models import peft_config
    peft_config.check_fits = die
elif where == "save":
    from llmops.flavor import write
    write._write_environment = die
elif where == "begin":
    real = mlflow.initialize_logged_model
    mlflow.initialize_logged_model = lambda **options: (real(**options), die())
elif where == "upload":
    mlflow.MlflowClient.log_model_artifacts = die
elif where == "register":
    mlflow.MlflowClient.create_model_version = die
elif where == "finish":
    from llmops.store import unfinished
    unfinished.finish = die
flavor.log_model(adapter, base="tiny", registered_model_name="bot")
"""


def killed(where: str, adapter: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", KILLED_AT, where, str(adapter)]
    done = subprocess.run(
        command, env=dict(os.environ), capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    for lock in home.folder("staging").glob("*.lock"):
        os.utime(lock, (time.time() - 60, time.time() - 60))


class Killed(BaseException):
    """Stands for SIGKILL: no handler of errors catches it."""


def impatient(patch: pytest.MonkeyPatch) -> None:
    """An audit does not wait whether a promotion is under way: nothing is, in this test."""
    patch.setattr(sys.modules["llmops.gate.promotion.audit"], "PATIENCE_SECONDS", 0)


def killed_at(
    patch: pytest.MonkeyPatch,
    number: int,
    work: Callable[[], object],
    writes: Sequence[str] = WRITES,
) -> int:
    """Runs ``work`` and kills it before its n-th write; returns the number of writes."""
    count = 0

    def counting(real: Callable[..., object]) -> Callable[..., object]:
        def write(*arguments: object, **options: object) -> object:
            nonlocal count
            count += 1
            if count == number:
                raise Killed
            return real(*arguments, **options)

        return write

    with patch.context() as patched:
        for name in writes:
            patched.setattr(MlflowClient, name, counting(getattr(MlflowClient, name)))
        work()
    return count
