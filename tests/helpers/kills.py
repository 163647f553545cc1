"""A log that is killed at a chosen moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from llmops.files import home

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
