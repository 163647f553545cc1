"""A process with limits on CPU time, memory and length, for what others wrote."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping
from typing import Any

from llmops.errors import IntegrityError, LlmopsError
from llmops.models.foreign import worker

SECONDS = 5
"""CPU seconds of one job: a template renders a prompt of a megabyte in less than one."""
EXTRA_BYTES = 1 << 30
"""Memory of a job."""
LONGEST = 1 << 24
"""Characters of a rendered text."""
WALL_SECONDS = 120.0
"""Seconds after which a job is ended, however little CPU time a busy machine gave it."""


class LimitedProcess:
    """A process that does one job at a time; it is started by the first, and again after a kill."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = os.getpid()

    def do(self, what: str, job: Mapping[str, object]) -> dict[str, Any]:
        """Do a job and return the reply.

        Args:
            what: Name of what is evaluated, in an error.
            job: A job that ``worker`` knows; all of it can be written as JSON.

        Raises:
            IntegrityError: The job exceeds a limit.
            LlmopsError: The process cannot be started.
        """
        line = json.dumps(job).encode() + b"\n"
        with self._lock:
            process = self._running()
            reply = _asked(process, line)
            if reply is None or "limit" in reply:
                self._process = None
                status = _ended(process)
                raise _exceeded(what, status, reply)
        return reply

    def close(self) -> None:
        """End the process; the next job starts another."""
        with self._lock:
            if self._process is not None:
                _ended(self._process)
                self._process = None

    def _running(self) -> subprocess.Popen[bytes]:
        """Return the process; a forked copy of this one must not share it."""
        if self._owner != os.getpid():
            self._process, self._owner = None, os.getpid()
        if self._process is None or self._process.poll() is not None:
            self._process = _started()
            weakref.finalize(self, _ended, self._process)
        return self._process


def _started() -> subprocess.Popen[bytes]:
    limits = [str(limit) for limit in (SECONDS, EXTRA_BYTES, LONGEST)]
    path = os.pathsep.join(folder for folder in sys.path if folder)
    quiet = {"TRANSFORMERS_VERBOSITY": "error", "PYTHONWARNINGS": "ignore"}
    try:
        return subprocess.Popen(
            # -P: a file beside the worker must not shadow a module of the same name
            [sys.executable, "-P", worker.__file__, *limits],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **quiet, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C is for this process
        )
    except OSError as error:
        raise LlmopsError(
            f"chat template: no process can be started to render it: {error}"
        ) from error


def _asked(process: subprocess.Popen[bytes], line: bytes) -> dict[str, Any] | None:
    """Return the reply to a job, ``None`` if there was none."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(line)
        process.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            if not selector.select(WALL_SECONDS):
                return None
        reply = process.stdout.readline()
    except OSError:  # it ended
        return None
    except BaseException:  # such as Ctrl-C: its reply must not be taken for that to the next job
        process.kill()
        raise
    return dict(json.loads(reply)) if reply.endswith(b"\n") else None


def _ended(process: subprocess.Popen[bytes]) -> int:
    """End a process and return its status: that of its own end, if it ended by itself."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:  # it no longer reads
                continue
    try:
        return process.wait(1.0)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _exceeded(what: str, status: int, reply: Mapping[str, Any] | None) -> LlmopsError:
    limit = "" if reply is None else str(reply["limit"])
    if limit == "memory":
        reason = f"needs more than {EXTRA_BYTES >> 30} GiB of memory"
    elif limit == "length":
        reason = f"makes a text of more than {LONGEST:,} characters"
    elif status in (-signal.SIGXCPU, -signal.SIGKILL):
        reason = f"takes more than {SECONDS} s"
    else:
        return LlmopsError(f"{what}: the process that evaluates it ended with status {status}")
    return IntegrityError(
        f"{what}: {reason}: refused",
        next_command="repair it in a copy of the folder, and use the copy",
    )


LIMITED = LimitedProcess()
"""The limited process of this one."""
