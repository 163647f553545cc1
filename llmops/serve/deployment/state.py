"""What is deployed on this machine: a JSON file per deployment, checked against live processes."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from llmops.errors import LlmopsError, NotFoundError, ServeError, UsageError
from llmops.files import home
from llmops.progress import say
from llmops.records import Deployment, names
from llmops.serve.deployment import client

STATE_FILE = "state.json"
LOG_FILE = "server.log"
SAME_START_SECONDS = 2.0
"""A start time is counted from a boot time that moves when the clock is set."""
LIST_COMMAND = "mlflow deployments list -t llmops"


def check_name(name: str) -> str:
    """Returns a deployment's name if it can be one: it becomes a folder and part of a URL.

    Raises:
        UsageError: It holds other characters than a registered model's name may.
    """
    if not names.MODEL_NAME.fullmatch(name):
        raise UsageError(
            f"deployment name {name!r}: letters, digits, `.`, `_` and `-` only, beginning with a"
            " letter or digit, at most 128 characters"
        )
    return name


def folder(name: str) -> Path:
    """The deployment's own folder; not created by asking."""
    return home.folder("deployments") / check_name(name)


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Keeps other commands away from a deployment that is being started or stopped.

    Raises:
        ServeError: Another command works on it now.
    """
    locks = home.folder("deployments") / ".locks"
    locks.mkdir(exist_ok=True)
    try:
        with FileLock(locks / f"{check_name(name)}.lock", timeout=0):
            yield
    except Timeout as error:
        raise ServeError(
            f"deployment {name}: another command is starting or stopping it",
            next_command=LIST_COMMAND,
        ) from error


def write(deployment: Deployment) -> None:
    """Records a deployment; a reader sees the old state or the new one, never a part."""
    record = dataclasses.asdict(deployment) | {"log": str(deployment.log)}
    path = folder(deployment.name) / STATE_FILE
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps(record, indent=2), encoding="utf-8")
    os.replace(draft, path)


def forget(name: str, *, keep_log: bool = False) -> None:
    """Removes a deployment's state, and its log unless that still explains a failure."""
    if keep_log:
        (folder(name) / STATE_FILE).unlink(missing_ok=True)
    else:
        shutil.rmtree(folder(name), ignore_errors=True)


def find(name: str) -> Deployment | None:
    """The recorded deployment of this name, alive or not; ``None`` if there is none."""
    path = folder(name) / STATE_FILE
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return Deployment(**record | {"log": Path(record["log"])})
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise ServeError(
            f"{path}: not a state file of a deployment ({error})",
            next_command=f"rm {path}, after ending the process that it names",
        ) from error


def get(name: str) -> Deployment:
    """The deployment of this name.

    Raises:
        NotFoundError: No such deployment.
    """
    found = find(name)
    if found is None:
        raise NotFoundError(f"deployment {name}: does not exist", next_command=LIST_COMMAND)
    return found


def list_all() -> list[Deployment]:
    """All deployments of this machine, by name; stopped ones too."""
    states = sorted(home.folder("deployments").glob(f"*/{STATE_FILE}"))
    found = [_readable(path.parent.name) for path in states]
    return [deployment for deployment in found if deployment is not None]


def _readable(name: str) -> Deployment | None:
    """One damaged state must not hide the other deployments."""
    try:
        return find(name)
    except LlmopsError as error:
        say(f"warning: {error.message}")
        return None


def process_of(deployment: Deployment) -> psutil.Process | None:
    """Its live process; ``None`` if it ended, even if the system gave its number away again."""
    try:
        process = psutil.Process(deployment.pid)
        same = abs(process.create_time() - deployment.created) < SAME_START_SECONDS
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def status(deployment: Deployment) -> str:
    """``running``, ``not ready`` (loading, or draining before its end) or ``stopped``."""
    if process_of(deployment) is None:
        return "stopped"
    return "running" if client.is_ready(deployment.endpoint) else "not ready"
