"""Recorded state of deployments, checked against the live processes.

The commands write what was asked for, the gateway what it does. Only the process that a record
names may change its status: a gateway that was replaced cannot overwrite its successor.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from llmops.errors import NotFoundError, ServeError, UsageError
from llmops.files import home, private
from llmops.progress import say
from llmops.records import names
from llmops.serve.deployment.config import Config
from llmops.serve.deployment.record import database, earlier
from llmops.serve.deployment.record.status import Started, Status

LOG_FILE = "gateway.log"
LIST_COMMAND = "mlflow deployments list -t llmops"


@dataclass(frozen=True)
class Record:
    """A deployment as it is recorded.

    Attributes:
        config: What was asked for.
        status: What its gateway does.
        endpoint: Base URL.
        gateway: The gateway's process; number 0 before it starts.
    """

    config: Config
    status: Status
    endpoint: str
    gateway: Started


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
    """Return the folder of a deployment's logs, which may not exist yet."""
    return home.folder("deployments") / check_name(name)


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Lock a deployment against other commands while it is started, changed or stopped.

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
            f"deployment {name}: another command is starting, updating or stopping it",
            next_command=LIST_COMMAND,
        ) from error


def create(config: Config, endpoint: str) -> None:
    """Record a deployment that is about to start, in place of an earlier one of its name."""
    now = time.time()
    with database.writing() as connection:
        connection.execute(
            "insert or replace into deployments values (?, ?, ?, ?, 0, 0, ?, ?)",
            (config.name, config.to_json(), Status().to_json(), endpoint, now, now),
        )


def claim(name: str, pid: int | None = None) -> Config:
    """Record the gateway's process, and return what was asked of it.

    Args:
        name: Name of the deployment.
        pid: The process; by default this one. Its status begins anew unless it is recorded already.

    Raises:
        NotFoundError: No such deployment: it was deleted in the meantime.
        ServeError: The process has ended.
    """
    started = Started.of(os.getpid() if pid is None else pid)
    if started is None:
        raise ServeError(f"deployment {name}: its process ended at once")
    record = get_record(name)
    if record.gateway.pid == started.pid and record.gateway.alive():
        return record.config
    with database.writing() as connection:
        connection.execute(
            "update deployments set pid = ?, started = ?, status = ?, updated = ? where name = ?",
            (started.pid, started.created, Status().to_json(), time.time(), name),
        )
    return record.config


def report(name: str, *, processes: Sequence[int] | None = None, **changes: Any) -> None:
    """Record what this process, the gateway of a deployment, does.

    It changes nothing if another process has taken over, or the deployment was deleted.

    Args:
        name: Name of the deployment.
        processes: Numbers of the processes that the gateway started and that still run.
        changes: Other fields of ``Status``.

    Raises:
        ServeError: The state cannot be read or written.
    """
    if processes is not None:
        changes["processes"] = tuple(filter(None, map(Started.of, processes)))
    with database.writing() as connection:
        row = connection.execute(
            "select status from deployments where name = ? and pid = ?", (name, os.getpid())
        ).fetchone()
        if row is not None:
            status = dataclasses.replace(Status.from_json(row["status"]), **changes)
            connection.execute(
                "update deployments set status = ?, updated = ? where name = ?",
                (status.to_json(), time.time(), name),
            )


def retarget(name: str, uri: str, *, follow: bool) -> None:
    """Record another URI to serve; ``restart`` will serve it."""
    with database.writing() as connection:
        row = connection.execute(
            "select config from deployments where name = ?", (name,)
        ).fetchone()
        if row is not None:
            config = dataclasses.replace(Config.from_json(row["config"]), uri=uri, follow=follow)
            connection.execute(
                "update deployments set config = ?, updated = ? where name = ?",
                (config.to_json(), time.time(), name),
            )


def forget(name: str, *, keep_logs: bool = False) -> None:
    """Remove a deployment's state, and its logs unless ``keep_logs``: they may explain a failure."""
    with database.writing() as connection:
        connection.execute("delete from deployments where name = ?", (name,))
    if not keep_logs:
        shutil.rmtree(folder(name), ignore_errors=True)


def find_record(name: str) -> Record | None:
    """Return the record of a deployment, running or not; ``None`` if there is none.

    Raises:
        UsageError: The name is invalid.
        ServeError: The state, or this record of it, is damaged.
    """
    row = _row(name)
    return None if row is None else _record(row)


def get_record(name: str) -> Record:
    """Return the record of a deployment, running or not.

    Raises:
        NotFoundError: No such deployment.
        LlmopsError: See ``find_record`` for the other errors.
    """
    record = find_record(name)
    if record is None:
        raise NotFoundError(f"deployment {name}: does not exist", next_command=LIST_COMMAND)
    return record


def find_gateway(name: str) -> Started | None:
    """Return the process of a deployment, ``None`` without one; a damaged record has one, too.

    Raises:
        UsageError: The name is invalid.
        ServeError: The state is damaged.
    """
    row = _row(name)
    return None if row is None else Started(row["pid"], row["started"])


def records() -> list[Record]:
    """Return the records of all deployments, sorted by name; a damaged one is a warning.

    Raises:
        ServeError: The state is damaged.
    """
    _take_over()
    with database.reading() as connection:
        rows = connection.execute("select * from deployments order by name").fetchall()
    found = []
    for row in rows:
        try:
            found.append(_record(row))
        except ServeError as error:  # it must not hide the others
            say(f"warning: {error}")
    return found


def _row(name: str) -> sqlite3.Row | None:
    check_name(name)
    _take_over(name)
    with database.reading() as connection:
        query = "select * from deployments where name = ?"
        row: sqlite3.Row | None = connection.execute(query, (name,)).fetchone()
    return row


def _record(row: sqlite3.Row) -> Record:
    try:
        config, found = Config.from_json(row["config"]), Status.from_json(row["status"])
        return Record(config, found, str(row["endpoint"]), Started(row["pid"], row["started"]))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        name = str(row["name"])
        raise ServeError(
            f"deployment {name}: its record in {database.path()} is damaged ({error})",
            next_command=f"mlflow deployments delete -t llmops --name {name}",
        ) from error


def _take_over(name: str | None = None) -> None:
    """Record the deployments that earlier releases kept in a file each.

    Raises:
        ServeError: The file of the deployment ``name`` is damaged.
    """
    for path in earlier.files():
        try:
            found = earlier.read(path)
        except ServeError as error:  # it must not hide the others
            if path.parent.name == name:
                raise
            say(f"warning: {error}")
            continue
        row = (found.config.name, found.config.to_json(), found.status.to_json(), found.endpoint)
        times = (found.pid, found.created, found.created, time.time())
        with database.writing() as connection:
            connection.execute(
                "insert or ignore into deployments values (?, ?, ?, ?, ?, ?, ?, ?)", row + times
            )
        path.unlink(missing_ok=True)
