"""A bounded queue in front of the process that writes traces; that process is restarted if it dies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, Any

from llmops.files import private
from llmops.progress import say
from llmops.serve.deployment.config import Config
from llmops.store import connection

MODULE = "llmops.serve.traces.exporter"
LOG = "traces.log"
RECORDS = 2_000
"""Maximum number of records that wait in this process."""
BYTES = 32 << 20
"""Maximum bytes of answers that wait in this process."""
START_SECONDS = 30.0
"""Seconds for the process to start before it can be ended."""
FLUSH_SECONDS = 10.0
"""Seconds for the process to write what it has, once its input has ended."""
LEAVE_SECONDS = 1.5
"""Seconds to wait for that at the end of the deployment; then the process goes on alone."""
RESTART_SECONDS = (1.0, 30.0)
"""Seconds before a restart: the first, and the longest."""
COUNTS = ("exported", "dropped", "unredacted")
"""What the process counts."""
DROPPED_VARIABLES = ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME")
QUIET = {
    "MLFLOW_ASYNC_TRACE_LOGGING_RETRY_TIMEOUT": "20",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",
}
"""Settings of MLflow's client: we retry ourselves, and its own log would contain prompts."""


@dataclass(frozen=True)
class Setup:
    """What the process that writes traces must know.

    Attributes:
        deployment: Name of the deployment.
        experiment: Experiment of the traces.
        content: Whether prompts and answers are written.
        redact: ``MODULE:FUNCTION`` that changes them before; ``None`` without.
    """

    deployment: str
    experiment: str
    content: bool
    redact: str | None

    @classmethod
    def of(cls, config: Config) -> Setup:
        """Return the setup for a deployment's settings."""
        experiment = config.experiment or f"{config.name}-serving"
        return cls(config.name, experiment, config.trace_content, config.redact)


class Pipe:
    """Hands records to the process that writes traces, and counts those that are lost.

    Args:
        setup: What the process must know.
        folder: Folder for its log.
    """

    def __init__(self, setup: Setup, folder: Path) -> None:
        self._setup, self._log = setup, folder / LOG
        # No lock of Python's between the event loop and the thread: one that the system suspends while
        # it holds a lock would hold up every answer. Each counter has one writer.
        self._waiting: SimpleQueue[tuple[Mapping[str, Any], int] | None] = SimpleQueue()
        self._bytes_in, self._bytes_out = 0, 0
        self._refused = 0
        self._closing = threading.Event()
        self._lost, self._sent = 0, 0  # of ended processes, and of the running one
        self._reported = dict.fromkeys(COUNTS, 0)
        self._exported = self._unredacted = 0
        self.started = threading.Event()
        """Whether the process has reported something."""
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Number of records that did not become traces."""
        return self._refused + self._lost + self._reported["dropped"]

    @property
    def exported(self) -> int:
        """Number of records that became traces."""
        return self._exported + self._reported["exported"]

    @property
    def unredacted(self) -> int:
        """Number of traces without content because the user's function failed."""
        return self._unredacted + self._reported["unredacted"]

    @property
    def pid(self) -> int | None:
        """Process id of the process that writes traces; ``None`` while there is none."""
        return self._process.pid if self._process else None

    def put(self, record: Mapping[str, Any], size: int) -> None:
        """Queue a record; count it as dropped if the queue is full. It never blocks.

        Args:
            record: JSON types, and bytes of UTF-8 text.
            size: Bytes of the answer in it.
        """
        waiting = self._bytes_in - self._bytes_out
        if self._waiting.qsize() >= RECORDS or waiting + size > BYTES:
            self._refused += 1
            return
        self._bytes_in += size
        self._waiting.put((record, size))

    def close(self) -> None:
        """Hand on what is queued; the process writes it, for ``FLUSH_SECONDS``, and ends by itself."""
        self._closing.set()
        self._waiting.put(None)
        self._thread.join(FLUSH_SECONDS + 5 + (0 if self.started.is_set() else START_SECONDS))
        if self._thread.is_alive() and self._process is not None:  # it does not even read
            self._process.kill()
            self._thread.join(5)

    def _run(self) -> None:
        """Start the process, and start it again whenever it has died."""
        first, longest = RESTART_SECONDS
        pause = first
        while True:
            began = time.monotonic()
            if self._one_process():
                return
            pause = first if time.monotonic() - began > longest else min(2 * pause, longest)
            say(f"warning: the process that writes traces ended; log: {self._log}; restarting")
            if self._closing.wait(pause):
                self._give_up()
                return

    def _one_process(self) -> bool:
        """Feed one process until it dies; return whether everything was handed on."""
        try:
            process = self._process = _start(self._setup, self._log)
        except OSError as error:
            say(f"warning: the process that writes traces does not start: {error}")
            return False
        assert process.stdin is not None
        assert process.stdout is not None
        listener = threading.Thread(target=self._listen, args=(process.stdout,), daemon=True)
        listener.start()
        done = False
        with suppress(OSError):  # a broken pipe
            done = self._feed(process.stdin)
        with suppress(OSError):
            process.stdin.close()
        try:
            process.wait(LEAVE_SECONDS if done else FLUSH_SECONDS)
        except subprocess.TimeoutExpired:
            if done:
                say(f"traces are still being written; log: {self._log}")
                process.returncode = 0  # nobody waits for its status
                return True
            process.kill()
            process.wait()
        listener.join(5)
        self._settle()
        return done

    def _feed(self, stream: IO[bytes]) -> bool:
        """Write records as they come; return whether all are written, which ends it."""
        while True:
            try:
                item = self._waiting.get(timeout=1.0)
            except Empty:
                # A process that died while nobody asks is noticed here.
                if self._process is None or self._process.poll() is not None:
                    return False
                continue
            if item is None:
                return True
            record, size = item
            self._bytes_out += size
            self._sent += 1
            try:
                text = line(record)
            except (ValueError, TypeError, RecursionError):  # nothing that a client can send
                self._sent, self._lost = self._sent - 1, self._lost + 1
                continue
            stream.write(text)
            stream.flush()

    def _listen(self, stream: IO[bytes]) -> None:
        """Read what the process has done: a line of JSON after each batch."""
        with stream:
            for text in stream:
                with suppress(ValueError, TypeError, AttributeError):
                    report = json.loads(text)
                    if note := report.get("note"):
                        say(f"warning: traces: {note}")
                    self.started.set()
                    self._reported = {name: int(report.get(name, 0)) for name in COUNTS}

    def _settle(self) -> None:
        """Count what an ended process had received and not reported as lost."""
        reported, self._reported = self._reported, dict.fromkeys(COUNTS, 0)
        self._exported += reported["exported"]
        self._unredacted += reported["unredacted"]
        self._lost += self._sent - reported["exported"]
        self._sent, self._process = 0, None
        self.started.clear()

    def _give_up(self) -> None:
        self._lost += self._waiting.qsize() - 1  # the mark of the end


def _start(setup: Setup, log: Path) -> subprocess.Popen[bytes]:
    import mlflow

    kept = {name: value for name, value in os.environ.items() if name not in DROPPED_VARIABLES}
    stores = {
        "MLFLOW_TRACKING_URI": connection.absolute(str(mlflow.get_tracking_uri())),
        "MLFLOW_REGISTRY_URI": connection.absolute(str(mlflow.get_registry_uri())),
    }
    with private.make_file(log).open("wb") as errors:  # the log of the one before is replaced
        return subprocess.Popen(
            [sys.executable, "-P", "-m", MODULE, json.dumps(asdict(setup))],
            env={**kept, **QUIET, **stores},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        )


def line(record: Mapping[str, Any]) -> bytes:
    """Return a record as a line of JSON; bytes become text."""
    # Piece by piece: the encoder holds the interpreter, and with it the event loop, for each.
    pieces = (f"{json.dumps(name)}: {_encoded(value)}" for name, value in record.items())
    return f"{{{', '.join(pieces)}}}\n".encode()


def _encoded(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], bytes):
        return f"[{', '.join(map(_encoded, value))}]"
    return json.dumps(value, default=_text)


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
