"""Recorded state of deployments: a JSON file each, checked against the live processes."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from llmops.errors import LlmopsError, NotFoundError, ServeError, UsageError
from llmops.files import home, private
from llmops.progress import say
from llmops.records import Deployment, names
from llmops.serve.deployment import client

STATE_FILE = "state.json"
LOG_FILE = "server.log"
SAME_START_SECONDS = 2.0
"""Seconds by which start times of a process may differ: they move when the clock is set."""
LIST_COMMAND = "mlflow deployments list -t llmops"


def check_name(name: str) -> str:
    """Return a deployment's name if it is valid: it becomes a folder and part of a URL.

    Raises:
        UsageError: The name has characters that a registered model's name may not have.
    """
    if not names.MODEL_NAME.fullmatch(name):
        raise UsageError(
            f"deployment name {name!r}: allowed are letters, digits, `.`, `_` and `-`, beginning with a"
            " letter or digit, at most 128 characters"
        )
    return name


def folder(name: str) -> Path:
    """Return the folder of a deployment, which may not exist yet."""
    return home.folder("deployments") / check_name(name)


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Lock a deployment against other commands while it is started or stopped.

    Raises:
        UsageError: The name is invalid.
        ServeError: Another command holds the lock.
    """
    locks = home.folder("deployments") / ".locks"
    private.make_folder(locks)
    try:
        with FileLock(locks / f"{check_name(name)}.lock", timeout=0):
            yield
    except Timeout as error:
        raise ServeError(
            f"deployment {name}: another command is starting or stopping it",
            next_command=LIST_COMMAND,
        ) from error


def write(deployment: Deployment) -> None:
    """Write the state of a deployment atomically."""
    record = dataclasses.asdict(deployment) | {"log": str(deployment.log)}
    home.write_whole(folder(deployment.name) / STATE_FILE, json.dumps(record, indent=2))


def forget(name: str, *, keep_log: bool = False) -> None:
    """Remove a deployment's state, and its log unless ``keep_log``: it may explain a failure."""
    if keep_log:
        (folder(name) / STATE_FILE).unlink(missing_ok=True)
    else:
        shutil.rmtree(folder(name), ignore_errors=True)


def find(name: str) -> Deployment | None:
    """Return the recorded deployment of a name, running or not; ``None`` if there is none.

    Raises:
        ServeError: The state file is damaged.
    """
    path = folder(name) / STATE_FILE
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return Deployment(**record | {"log": Path(record["log"])})
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise ServeError(
            f"{path}: not a state file of a deployment ({error})",
            next_command=f"stop the process that the file names, then rm {path}",
        ) from error


def get(name: str) -> Deployment:
    """Return the recorded deployment of a name, running or not.

    Args:
        name: Name of the deployment.

    Raises:
        UsageError: The name is invalid.
        NotFoundError: No such deployment.
        ServeError: The state file is damaged.

    Example:
        from llmops.serve import get

        print(get("bot").endpoint)
    """
    deployment = find(name)
    if deployment is None:
        raise NotFoundError(f"deployment {name}: does not exist", next_command=LIST_COMMAND)
    return deployment


def list_all() -> list[Deployment]:
    """Return the deployments of this machine, sorted by name, stopped ones included.

    Returns:
        Every deployment whose state file is readable; a damaged one is reported as a warning.

    Example:
        from llmops.serve import list_all, status

        for deployment in list_all():
            print(deployment.name, deployment.endpoint, status(deployment))
    """
    states = sorted(home.folder("deployments").glob(f"*/{STATE_FILE}"))
    deployments = [_readable(path.parent.name) for path in states]
    return [deployment for deployment in deployments if deployment is not None]


def _readable(name: str) -> Deployment | None:
    """Return a deployment; ``None`` if its state is damaged, which must not hide the others."""
    try:
        return find(name)
    except LlmopsError as error:
        say(f"warning: {error.message}")
        return None


def process_of(deployment: Deployment) -> psutil.Process | None:
    """Return the live process of a deployment; ``None`` if it ended, even if its PID is reused."""
    try:
        process = psutil.Process(deployment.pid)
        same = abs(process.create_time() - deployment.created) < SAME_START_SECONDS
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def status(deployment: Deployment) -> str:
    """Return the status of a deployment: ``running``, ``not ready`` or ``stopped``.

    Args:
        deployment: The deployment, from ``create``, ``get`` or ``list_all``.

    Returns:
        ``not ready`` means that the server is loading, or finishing its last answers.

    Example:
        from llmops.serve import get, status

        print(status(get("bot")))
    """
    if process_of(deployment) is None:
        return "stopped"
    return "running" if client.is_ready(deployment.endpoint) else "not ready"
