"""Start and stop a vLLM server on loopback that ends with this process."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil

from llmops.engine import guard, ready
from llmops.engine.openai.errors import reason_of
from llmops.engine.vllm import diagnosis, keyed, launch
from llmops.engine.vllm.environment import Environment
from llmops.errors import LlmopsError, ServeError
from llmops.progress import last_words, say

MODULE = "vllm.entrypoints.openai.api_server"
START_SECONDS = 600.0
"""Default maximum of seconds until the server is ready."""
POLL_SECONDS = 0.5
REQUEST_SECONDS = 60.0
"""Maximum seconds for a command to the server, answers excepted."""
HEALTH_SECONDS = 2.0


class Server:
    """A vLLM server that runs until ``close`` or the end of this process.

    Args:
        environment: The environment with vLLM.
        arguments: Arguments of the server without its address.
        names: Models that the server must list before it counts as ready.
        key: API key that requests must carry.
        seconds: Maximum seconds until the server is ready.
        folder: Folder for the log, which is then kept; by default ``LLMOPS_HOME/logs``, from which
            it is deleted unless the server failed.

    Attributes:
        address: Base URL without ``/v1``.
        log: Log file.

    Raises:
        ServeError: The server ended, or is not ready in time.
    """

    def __init__(
        self,
        environment: Environment,
        arguments: Sequence[str],
        *,
        names: Sequence[str],
        key: str,
        seconds: float = START_SECONDS,
        folder: Path | None = None,
    ) -> None:
        port = _free_port()
        self.address, self._key = f"http://{launch.LOOPBACK}:{port}", key
        self._keep, self.log = folder is not None, launch.new_log(folder)
        command = [
            str(environment.python),
            "-m",
            MODULE,
            "--host",
            launch.LOOPBACK,
            "--port",
            str(port),
        ]
        command += ["--middleware", f"{keyed.MODULE}.{keyed.EveryPath.__name__}"]
        self._guard, pipe = launch.guarded(
            [*command, *arguments], launch.variables(environment, arguments, key), self.log
        )
        self._pipe: int | None = pipe
        say(f"vLLM {environment.version}: starting; log: {self.log}")
        try:
            self._wait(set(names), seconds)
        except ServeError:
            self._stop()
            raise
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """Process id of the server; of its guard if the server has ended."""
        with suppress(psutil.Error):
            for child in psutil.Process(self._guard.pid).children():
                return int(child.pid)
        return self._guard.pid

    def check_runs(self) -> None:
        """Check that the server is running.

        Raises:
            ServeError: The server has ended; the message has the cause, or the end of its log.
        """
        status = self._guard.poll()
        if status is not None:
            raise self._failure(f"the server ended with status {status}", status)

    def check_health(self) -> None:
        """Check that the server is running and its engine process too.

        Without its engine process the server goes on for seconds, and answers with errors.

        Raises:
            ServeError: Either has ended; the message has the cause, or the end of the log.
        """
        self.check_runs()
        connection = HTTPConnection(urlsplit(self.address).netloc, timeout=HEALTH_SECONDS)
        try:
            connection.request("GET", "/health")
            if connection.getresponse().status == HTTPStatus.OK:
                return
            what = "the engine inside the server has ended"
        except ConnectionRefusedError:
            what = "the server no longer listens"
        except (OSError, HTTPException):  # it is busy
            return
        finally:
            connection.close()
        with suppress(subprocess.TimeoutExpired):
            self._guard.wait(POLL_SECONDS)
        self.check_runs()
        raise self._failure(what)

    def check_answers(self) -> None:
        """Check after a failed request that the server still answers.

        Raises:
            ServeError: The server no longer answers; the message has the cause.
        """
        if self._knows(set()):
            return
        with suppress(subprocess.TimeoutExpired):
            self._guard.wait(3 * guard.CHILDREN_SECONDS)
        self.check_runs()
        raise self._failure("the server no longer answers")

    def post(self, path: str, body: Mapping[str, object]) -> None:
        """Send a command to the server.

        Args:
            path: Path of the URL.
            body: JSON of the command.

        Raises:
            LlmopsError: The server refuses the command; the message has its reason.
            ServeError: The server does not answer.
        """
        try:
            self._ask("POST", path, body).raise_for_status()
        except httpx.HTTPStatusError as error:
            raise LlmopsError(f"vLLM refuses {path}: {reason_of(error.response)}") from error
        except httpx.HTTPError as error:
            self.check_answers()
            raise self._failure(f"no answer to {path}: {error}") from error

    def close(self) -> None:
        """End the server with all its processes, and delete its log unless it had failed."""
        if self._guard.poll() is None:
            self._stop()
            if not self._keep:
                self.log.unlink(missing_ok=True)
        self._stop()

    def _stop(self) -> None:
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None
        self._guard.wait(guard.GRACE_SECONDS + REQUEST_SECONDS)

    def _wait(self, names: set[str], seconds: float) -> None:
        took = ready.wait(
            lambda: self._knows(names),
            self.check_runs,
            self._failure,
            name="vLLM",
            seconds=seconds,
            pause=POLL_SECONDS,
        )
        say(f"vLLM: ready at {self.address} after {took:.0f} s")

    def _knows(self, names: set[str]) -> bool:
        try:
            models = self._ask("GET", "/v1/models").raise_for_status().json()["data"]
        except (httpx.HTTPError, ValueError, LookupError, TypeError):
            return False
        return names <= {model["id"] for model in models}

    def _ask(
        self, method: str, path: str, body: Mapping[str, object] | None = None
    ) -> httpx.Response:
        return httpx.request(
            method,
            self.address + path,
            json=body,
            headers={"Authorization": f"Bearer {self._key}"},
            timeout=REQUEST_SECONDS,
            trust_env=False,  # no proxy from the environment: the server is on this machine
        )

    def _failure(self, what: str, status: int | None = None) -> ServeError:
        text = self.log.read_text(encoding="utf-8", errors="replace")
        cause = diagnosis.root_cause(text, status)
        why = f"the end of its log:\n{last_words(self.log)}" if cause is None else cause
        return ServeError(f"vLLM: {what}: {why}", next_command=f"less {self.log}")


def _free_port() -> int:
    with socket.create_server((launch.LOOPBACK, 0)) as free:
        return int(free.getsockname()[1])
