"""The worker process: torch, with continuous batching, behind the same protocol as vLLM's server."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import httpx
import psutil

from llmops.engine import guard, ready
from llmops.engine.openai.errors import reason_of
from llmops.errors import LlmopsError, ServeError, UsageError
from llmops.files import private
from llmops.progress import last_words, say
from llmops.records.serving import Served
from llmops.serve.engines import files_json, verified
from llmops.serve.engines.merged import merge
from llmops.serve.engines.protocol import LOCAL, EngineProcess, EngineSettings
from llmops.serve.worker.main import KEY

LOOPBACK = "127.0.0.1"
DROPPED = ("LLMOPS_API_KEY", "OPENAI_API_KEY", "PYTHONHOME")
"""Environment variables that the worker does not inherit."""
LOCAL_DTYPE = "float32"
"""Dtype of merged weights; the worker casts them to what its device computes in."""
START_SECONDS = 600.0
POLL_SECONDS = 0.1
REQUEST_SECONDS = 120.0
"""Maximum seconds for loading or unloading a version."""
HEALTH_SECONDS = 5.0
LOGS = 5
"""Number of logs of earlier processes that are kept."""
CAUSE = re.compile(r"error: |[\w.]*(Error|Exception|Interrupt)\b")
"""How the line begins that says why a process ended."""
CAUSE_LINES = 5


class LocalProcess(EngineProcess):
    """A worker that runs until ``close`` or the end of this process.

    Args:
        first: The version that it loads first; it determines the base.
        settings: How it is started.

    Raises:
        ServeError: It ended, or is not ready in time; the message has the root cause.
    """

    def __init__(self, first: Served, settings: EngineSettings) -> None:
        self._key = secrets.token_urlsafe(32)
        if settings.merged:
            verified.check(first.files)
            first = dataclasses.replace(first, files=merge(first.files, LOCAL_DTYPE))
        self._base_digest = first.files.base.digest
        self._log = new_log(settings.folder)
        with socket.create_server((LOOPBACK, 0), backlog=1024) as listening:
            self._address = f"http://{LOOPBACK}:{listening.getsockname()[1]}"
            self._guard, pipe = _spawn(first, listening, self._key, self._log, settings.max_tokens)
        self._pipe: int | None = pipe
        self._client = httpx.Client(
            base_url=self._address,
            headers={"Authorization": f"Bearer {self._key}"},
            trust_env=False,  # no proxy from the environment: the worker is on this machine
        )
        say(f"{first.name}: loading into a torch worker; log: {self._log}")
        try:
            ready.wait(
                self._is_ready,
                self.check,
                self._failure,
                name="worker",
                seconds=START_SECONDS,
                pause=POLL_SECONDS,
            )
        except BaseException:
            self.close()
            raise

    @property
    def kind(self) -> str:
        """``local``."""
        return LOCAL

    @property
    def address(self) -> str:
        """URL without ``/v1``."""
        return self._address

    @property
    def key(self) -> str:
        """Key that requests must carry."""
        return self._key

    @property
    def log(self) -> Path:
        """Log file of the worker."""
        return self._log

    @property
    def pid(self) -> int:
        """Process id of the worker; of its guard once it has ended."""
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self._guard.pid).children():
                return int(child.pid)
        return self._guard.pid

    @property
    def base_digest(self) -> str:
        """SHA-256 of the base model, which is also its name for requests."""
        return self._base_digest

    def load(self, served: Served) -> None:
        """Load another version of the same base; see ``EngineProcess``."""
        files = files_json.to_json(served.files)
        self._post("/v1/load_lora_adapter", {"lora_name": served.name, "files": files})

    def unload(self, name: str) -> None:
        """Forget a version; see ``EngineProcess``."""
        self._post("/v1/unload_lora_adapter", {"lora_name": name})

    def check(self) -> None:
        """Check that the worker runs; see ``EngineProcess``."""
        status = self._guard.poll()
        if status is not None:
            raise self._failure(f"the worker ended ({_ending(status)})")

    def close(self) -> None:
        """End the worker after the answers in progress; closing it again does nothing."""
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None
            self._client.close()
        self._guard.wait(guard.GRACE_SECONDS + 3 * guard.CHILDREN_SECONDS + HEALTH_SECONDS)

    def _is_ready(self) -> bool:
        # The socket listens from the start: a request waits there until the worker accepts it.
        with suppress(httpx.HTTPError):
            return self._client.get("/health", timeout=POLL_SECONDS).status_code == httpx.codes.OK
        return False

    def _post(self, path: str, body: Mapping[str, object]) -> None:
        try:
            reply = self._client.post(path, json=body, timeout=REQUEST_SECONDS)
        except httpx.HTTPError as error:
            with suppress(subprocess.TimeoutExpired):
                self._guard.wait(guard.POLL_SECONDS * 5)
            self.check()
            raise self._failure(f"no answer to {path}: {type(error).__name__}") from error
        if reply.is_success:
            return
        message = reason_of(reply)
        if reply.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            raise self._failure(message)
        raise (UsageError if reply.is_client_error else LlmopsError)(message)

    def _failure(self, what: str) -> ServeError:
        return ServeError(f"{what}: {root_cause(self._log)}", next_command=f"less {self._log}")


def root_cause(log: Path) -> str:
    """Return the lines of a log that say why its process ended: the last error, or the end."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    for place in reversed(range(len(lines))):
        if CAUSE.match(lines[place]):
            return "\n".join(lines[place : place + CAUSE_LINES]).removeprefix("error: ")
    return f"the end of its log:\n{last_words(log)}"


def _spawn(
    first: Served, listening: socket.socket, key: str, log: Path, max_tokens: int | None
) -> tuple[subprocess.Popen[bytes], int]:
    """Start a worker under ``guard``; return the process and the pipe end that keeps it running."""
    folder = Path(tempfile.mkdtemp(prefix="llmops-worker-"))
    files = folder / "first.json"
    record = {"name": first.name, "files": files_json.to_json(first.files)}
    files.write_text(json.dumps(record), encoding="utf-8")
    ours = {name: value for name, value in os.environ.items() if name not in DROPPED}
    variables = {**ours, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", KEY: key}
    fd = listening.fileno()
    # -P: a file in the working directory must not shadow a module of the same name.
    worker = [sys.executable, "-P", "-m", "llmops.serve.worker.main", "--fd", str(fd)]
    limit = [] if max_tokens is None else ["--max-tokens", str(max_tokens)]
    return guard.start(
        [*worker, "--files-json", str(files), *limit],
        str(folder),
        variables=variables,
        log=log,
        inherited=[fd],
    )


def new_log(folder: Path) -> Path:
    """Return a new log file that only this user can read; old ones are deleted."""
    private.make_folder(folder)
    earlier = sorted(folder.glob("engine-local-*.log"), key=lambda path: path.stat().st_mtime)
    for path in earlier[:-LOGS]:
        path.unlink(missing_ok=True)
    return private.make_file(folder / f"engine-local-{uuid.uuid4().hex[:8]}.log")


def _ending(status: int) -> str:
    if status == 128 + 9:
        return "killed, perhaps for lack of memory"
    return f"status {status}"
