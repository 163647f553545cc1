"""Ctrl-C and SIGTERM that never cut an SQL statement in two."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any

RETRY_SECONDS = 0.02


def install() -> None:
    """Raise ``KeyboardInterrupt`` on SIGINT and SIGTERM, but not while MLflow writes to a database.

    A ``KeyboardInterrupt`` inside a statement leaves its connection open, with its transaction: the
    store stays locked (MLflow 3.17 with SQLAlchemy 2.1 and SQLite: "database is locked" after 20
    seconds), and the run that was interrupted cannot be ended. The signal waits for the statement.
    A SIGINT that the shell has ignored, as for background jobs, stays ignored.

    Raises:
        ValueError: This is not the main thread.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handle)


def handle(number: int, frame: FrameType | None) -> Any:
    """Raise ``KeyboardInterrupt``, or send the signal again later if a database is in use.

    Raises:
        KeyboardInterrupt: No database is in use.
    """
    if not _in_database(frame):
        raise KeyboardInterrupt
    again = threading.Timer(RETRY_SECONDS, os.kill, (os.getpid(), number))
    again.daemon = True
    again.start()


def _in_database(frame: FrameType | None) -> bool:
    """Tell whether SQLAlchemy, or MLflow's store on it, is among the callers of a frame."""
    while frame is not None:
        if "sqlalchemy" in str(frame.f_globals.get("__name__")):
            return True
        frame = frame.f_back
    return False
