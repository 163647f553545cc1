"""The start of a deployment's gateway, and the wait until it is ready."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil

from llmops.errors import LlmopsError, ServeError
from llmops.files import private
from llmops.progress import last_words, say
from llmops.serve.deployment import client, ending, state
from llmops.serve.deployment.config import Config
from llmops.serve.deployment.narrator import Narrator

GATEWAY = "llmops.serve.gateway.main"
"""The module that is the gateway."""
START_SECONDS = 1800.0
"""Seconds to wait until a gateway is ready: a large model is read from disk, or compiled."""
POLL_SECONDS = 0.1


def start(config: Config, listening: socket.socket, endpoint: str) -> state.Record:
    """Start the gateway of a deployment and wait until it is ready.

    Args:
        config: The settings, which are recorded.
        listening: The socket that the gateway inherits; it is closed here.
        endpoint: URL of the socket.

    Returns:
        The record of the running deployment.

    Raises:
        LlmopsError: The gateway gave up; the error is the one that it recorded.
        ServeError: It ended without a reason, or was not ready in time.
    """
    name = config.name
    private.make_folder(state.folder(name))
    log = _new_log(state.folder(name) / state.LOG_FILE)
    state.create(config, endpoint)  # before it starts: `list` shows it even if this one is killed
    gateway = _spawn(name, listening, log)
    try:
        listening.close()  # from here on, the gateway's copy keeps the port open
        state.claim(name, gateway.pid)
        _wait_ready(gateway, config, endpoint)
    except BaseException:
        _end(gateway, name)
        raise
    gateway.returncode = 0  # it outlives this command; nobody waits for its status
    return state.get_record(name)


def _new_log(log: Path) -> Path:
    """Return an empty log; what an earlier gateway wrote, perhaps why it ended, is set aside."""
    if log.exists():
        log.replace(log.with_name(f"{log.name}.1"))  # as the gateway names full ones
    return private.make_file(log)


def _spawn(name: str, listening: socket.socket, log: Path) -> subprocess.Popen[bytes]:
    """Start the gateway in its own session, so that Ctrl-C does not reach it."""
    import mlflow

    environment = os.environ | {
        "MLFLOW_TRACKING_URI": mlflow.get_tracking_uri(),
        "MLFLOW_REGISTRY_URI": mlflow.get_registry_uri(),
        "HF_HUB_OFFLINE": "1",
    }
    environment.pop(client.KEY_VARIABLE, None)  # its hash is in the settings
    fd = listening.fileno()
    # -P: a file in the working directory must not shadow a module of the same name.
    command = [sys.executable, "-P", "-m", GATEWAY, name, "--fd", str(fd)]
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            pass_fds=[fd],
            start_new_session=True,
        )


def _wait_ready(gateway: subprocess.Popen[bytes], config: Config, endpoint: str) -> None:
    began, narrator = time.monotonic(), Narrator(config.name)
    while not client.is_ready(endpoint, config.tls_cert):
        if gateway.poll() is not None:
            raise _failure(config.name, f"the gateway ended with status {gateway.returncode}")
        if time.monotonic() - began > START_SECONDS:
            raise _failure(config.name, f"not ready after {START_SECONDS:.0f} s")
        narrator.look()
        time.sleep(POLL_SECONDS)


def _failure(name: str, what: str) -> LlmopsError:
    """Return the error that a gateway recorded, or the end of its log if it recorded none."""
    log, status = state.folder(name) / state.LOG_FILE, state.get_record(name).status
    more = f"less {log}"
    if status.error is not None:
        return ServeError(
            f"deployment {name}: {status.error}", next_command=status.next_command or more
        )
    return ServeError(
        f"deployment {name}: {what}; end of its log:\n{last_words(log)}", next_command=more
    )


def _end(gateway: subprocess.Popen[bytes], name: str) -> None:
    """Kill a gateway that did not start, with the engines that it started."""
    if gateway.poll() is None:
        ending.kill([psutil.Process(gateway.pid)])
    gateway.wait()
    record = state.find_record(name)
    if record is not None:
        ending.kill_left(record.status.processes)


def announce(record: state.Record) -> None:
    """Say what a deployment serves, how, and where."""
    config, status = record.config, record.status
    follows = f", follows {config.uri}" if config.follow else ""
    proof = f"passed its gate ({status.proof.verdict})" if status.proof else "served without proof"
    say(
        f"{config.name}: {status.model} answers at {record.endpoint}"
        f" (engine {status.engine or config.engine}{follows}; {proof})"
    )
