"""Start and stop of a deployment's background process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from llmops.errors import ServeError, UsageError
from llmops.files import private
from llmops.models import versions
from llmops.models.resolve import resolve
from llmops.progress import last_words, say
from llmops.records import Deployment
from llmops.serve.deployment import address, client, origins, state
from llmops.store import connection

ENGINES = ("local",)
START_SECONDS = 600.0
"""Seconds to wait until a server is ready."""
DRAIN_SECONDS = 30
"""Seconds that answers in progress may take after SIGTERM."""
STOP_SECONDS = DRAIN_SECONDS + 5.0
KILL_SECONDS = 5.0
POLL_SECONDS = 0.1
REPORT_SECONDS = 10.0
"""Seconds between two lines of progress."""


def create(
    name: str,
    uri: str,
    *,
    host: str = address.LOOPBACK,
    port: int = 0,
    engine: str = "local",
    cors: Sequence[str] = (),
) -> Deployment:
    """Start a server for a version and wait until it answers.

    Args:
        name: Name of the deployment; requests may use it as the model's name.
        uri: ``models:/NAME/VERSION`` or ``models:/NAME@ALIAS``; the alias is resolved now.
        host: Address to listen on, by default 127.0.0.1; one that other machines can reach needs ``LLMOPS_API_KEY``.
        port: Port to listen on; 0 picks a free one.
        engine: Name of the engine; ``local`` is torch in the server's process.
        cors: Origins of pages that may ask from a browser, such as ``https://chat.example.org``.
            Without a key, pages from this machine may ask as well.

    Returns:
        The running deployment, with its endpoint.

    Raises:
        UsageError: The name, the engine, the address, an origin or the URI is invalid.
        NotFoundError: No such version or alias.
        ServeError: The name or the port is in use, or the server did not start.

    Example:
        from llmops.serve import ask, create, delete

        deployment = create("bot", "models:/bot@champion", port=8100)
        print(ask(deployment, [{"role": "user", "content": "Hello"}]).text)
        delete("bot")
    """
    if engine not in ENGINES:
        raise UsageError(f"engine {engine!r}: unknown; allowed: {', '.join(ENGINES)}")
    allowed = origins.read(cors)
    with state.locked(name):
        _refuse_running(name)
        with address.listen(host, port) as listening:
            connection.connect()
            files = resolve(uri)
            versions.warn_of_other_bytes(files)
            return _start(name, files.uri, listening, allowed)


def delete(name: str) -> None:
    """Stop a deployment after the answers in progress, and remove its state and log.

    Args:
        name: Name of the deployment.

    Raises:
        NotFoundError: No such deployment.
        ServeError: Another command is starting or stopping it.

    Example:
        from llmops.serve import delete

        delete("bot")
    """
    with state.locked(name):
        process = state.process_of(state.get(name))
        if process is not None:
            say(f"{name}: stopping; waiting up to {DRAIN_SECONDS} s for answers in progress")
            _stop(process)
        state.forget(name)


def run(
    name: str,
    uri: str,
    *,
    host: str = address.LOOPBACK,
    port: int = 0,
    engine: str = "local",
    cors: Sequence[str] = (),
) -> None:
    """Serve in the foreground until Ctrl-C, SIGTERM or the end of the server.

    Args:
        name: See ``create``.
        uri: See ``create``.
        host: See ``create``.
        port: See ``create``.
        engine: See ``create``.
        cors: See ``create``.

    Raises:
        ServeError: See ``create``; also if the server ends by itself.
        LlmopsError: See ``create`` for the other errors.

    Example:
        from llmops.serve import run

        run("bot", "models:/bot@champion", port=8100)
    """
    with suppress(ValueError):  # only the main thread can handle a supervisor's SIGTERM
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    deployment = create(name, uri, host=host, port=port, engine=engine, cors=cors)
    try:
        say("Press Ctrl-C to stop")
        psutil.Process(deployment.pid).wait()
    except KeyboardInterrupt:
        delete(name)
        return
    raise ServeError(
        f"deployment {name}: the server stopped by itself", next_command=f"less {deployment.log}"
    )


def _refuse_running(name: str) -> None:
    deployment = state.find(name)
    if deployment is not None and state.process_of(deployment) is not None:
        raise ServeError(
            f"deployment {name}: already running: {deployment.uri} at {deployment.endpoint}",
            next_command=f"mlflow deployments delete -t llmops --name {name}",
        )


def _start(name: str, uri: str, listening: socket.socket, allowed: Sequence[str]) -> Deployment:
    folder = state.folder(name)
    private.make_folder(folder)
    log = private.make_file(folder / state.LOG_FILE)
    say(f"{name}: loading {uri}; log: {log}")
    server = _spawn(name, uri, listening, log, allowed)
    try:
        deployment = Deployment(
            name=name,
            model=uri.removeprefix("models:/"),
            uri=uri,
            endpoint=address.endpoint(listening),
            pid=server.pid,
            created=psutil.Process(server.pid).create_time(),
            log=log,
        )
        listening.close()  # from here on, the server's copy keeps the port open
        state.write(
            deployment
        )  # before it is ready, so delete finds it even if this command is killed
        _wait_ready(server, deployment)
    except BaseException:
        if server.poll() is None:
            _kill([psutil.Process(server.pid)])
        server.wait()
        state.forget(name, keep_log=True)
        raise
    server.returncode = 0  # it outlives this command; nobody waits for its status
    say(f"{name}: {uri} answers at {deployment.endpoint}")
    return deployment


def _spawn(
    name: str, uri: str, listening: socket.socket, log: Path, allowed: Sequence[str]
) -> subprocess.Popen[bytes]:
    """Start the server in its own session, so that Ctrl-C does not reach it."""
    import mlflow

    environment = os.environ | {
        "MLFLOW_TRACKING_URI": mlflow.get_tracking_uri(),
        "MLFLOW_REGISTRY_URI": mlflow.get_registry_uri(),
        "HF_HUB_OFFLINE": "1",
    }
    fd = listening.fileno()
    # -P: a file in the working directory must not shadow a module of the same name.
    command = [sys.executable, "-P", "-m", "llmops.serve.worker.main"]
    cors = [word for origin in allowed for word in ("--cors", origin)]
    with log.open("wb") as output:
        return subprocess.Popen(
            [*command, "--name", name, "--uri", uri, "--fd", str(fd), *cors],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            pass_fds=[fd],
            start_new_session=True,
        )


def _wait_ready(server: subprocess.Popen[bytes], deployment: Deployment) -> None:
    began = reported = time.monotonic()
    while not client.is_ready(deployment.endpoint):
        now = time.monotonic()
        if server.poll() is not None:
            raise _failure(deployment, f"the server ended with status {server.returncode}")
        if now - began > START_SECONDS:
            raise _failure(deployment, f"not ready after {START_SECONDS:.0f} s")
        if now - reported >= REPORT_SECONDS:
            reported = now
            say(f"{deployment.name}: still loading ({now - began:.0f} s)")
        time.sleep(POLL_SECONDS)


def _failure(deployment: Deployment, what: str) -> ServeError:
    return ServeError(
        f"deployment {deployment.name}: {what}; end of its log:\n{last_words(deployment.log)}",
        next_command=f"less {deployment.log}",
    )


def _stop(process: psutil.Process) -> None:
    """Terminate a process, and kill what is left of it and its children after ``STOP_SECONDS``."""
    with suppress(psutil.NoSuchProcess):
        family = [process, *process.children(recursive=True)]
        process.terminate()
        _, alive = psutil.wait_procs(family, timeout=STOP_SECONDS)
        _kill(alive)


def _kill(processes: list[psutil.Process]) -> None:
    family = set(processes)
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            family.update(process.children(recursive=True))
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(list(family), timeout=KILL_SECONDS)
