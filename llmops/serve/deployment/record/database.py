"""The file ``LLMOPS_HOME/deployments/state.db``: deployments of this machine, and keys for them.

SQLite, because commands and gateways read and write it at the same time and any of them may be
killed. Transactions are short; a second writer waits for the first.
"""

from __future__ import annotations

import shlex
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from llmops.errors import ServeError
from llmops.files import home, private

FILE = "state.db"
LAYOUT = 1
"""Number of the tables' layout; a later release may write a higher one."""
WAIT_SECONDS = 10.0
"""Seconds to wait for another process's transaction."""
_OPENING = threading.Lock()
TABLES = (
    """create table if not exists deployments (
        name text primary key,
        config text not null,    -- what was asked for, JSON
        status text not null,    -- what its gateway does, JSON
        endpoint text not null,
        pid integer not null,    -- of the gateway; 0 before it starts
        started real not null,   -- start time of that process: numbers are used again
        created real not null,
        updated real not null
    )""",
    """create table if not exists keys (
        name text primary key,
        hash text not null,      -- SHA-256 of the key
        created real not null,
        revoked real,
        requests_per_minute integer,
        tokens_per_minute integer,
        last_used real
    )""",
)


def path() -> Path:
    """Return the path of the file, which may not exist yet."""
    return home.folder("deployments") / FILE


@contextmanager
def errors() -> Iterator[None]:
    """Raise SQLite's errors within the block as ours.

    Raises:
        ServeError: The file is damaged, locked or cannot be read or written.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        raise ServeError(
            f"{path()}: cannot be read or written: {error}",
            next_command="rerun the command; if it fails again, free disk space or fix permissions",
        ) from error
    except sqlite3.DatabaseError as error:
        file = path()
        aside = f"mv {shlex.quote(str(file))} {shlex.quote(f'{file}.damaged')}"
        raise ServeError(
            f"{file}: damaged: {error}; it lists the deployments and keys of this machine",
            next_command=f"{aside}; stop what still runs (`pgrep -af llmops.serve.gateway` shows it)",
        ) from error


def connect() -> sqlite3.Connection:
    """Return a new connection, which writes every statement at once; the caller closes it.

    Threads may use it one after another.

    Raises:
        ServeError: The file is damaged, or was written by a later release.
    """
    with errors():
        with _OPENING:  # whoever creates the file closes it before anyone locks it
            file = _file()
            connection = sqlite3.connect(
                file, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False
            )
        try:
            connection.row_factory = sqlite3.Row
            _prepare(connection)
        except BaseException:
            connection.close()
            raise
    return connection


@contextmanager
def writing() -> Iterator[sqlite3.Connection]:
    """Yield a connection within one transaction, which nobody else writes to.

    Raises:
        ServeError: See ``connect``.
    """
    with closing(connect()) as connection, errors():
        connection.execute("begin immediate")
        with connection:
            yield connection


@contextmanager
def reading() -> Iterator[sqlite3.Connection]:
    """Yield a connection for queries.

    Raises:
        ServeError: See ``connect``.
    """
    with closing(connect()) as connection, errors():
        yield connection


def _file() -> Path:
    """Return the file, created if it does not exist; SQLite explains why that is not possible."""
    file = path()
    with suppress(OSError):
        private.make_file(file)
    return file


def _prepare(connection: sqlite3.Connection) -> None:
    (found,) = connection.execute("pragma user_version").fetchone()
    if found > LAYOUT:
        raise ServeError(
            f"{path()}: written by a later release of llmops (layout {found}, this release: {LAYOUT})",
            next_command="pip install --upgrade mlflow-llmops",
        )
    if found == LAYOUT:
        return
    connection.execute("pragma journal_mode = wal")
    for table in TABLES:
        connection.execute(table)
    connection.execute(f"pragma user_version = {LAYOUT}")
