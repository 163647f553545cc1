"""Starts and stops the background process of a deployment."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from llmops.errors import ServeError, UsageError
from llmops.models.resolve import resolve
from llmops.progress import last_words, say
from llmops.records import Deployment
from llmops.serve.deployment import client, state
from llmops.store import connection

LOOPBACK = "127.0.0.1"
ENGINES = ("local",)
START_SECONDS = 600.0
DRAIN_SECONDS = 30
"""How long answers in flight may take after SIGTERM."""
STOP_SECONDS = DRAIN_SECONDS + 5.0
KILL_SECONDS = 5.0
POLL_SECONDS = 0.1
SAY_EVERY_SECONDS = 10.0
MAX_PORT = 65535


def create(
    name: str, uri: str, *, host: str = LOOPBACK, port: int = 0, engine: str = "local"
) -> Deployment:
    """Starts a server for one model version and waits until it answers.

    Args:
        name: Of the deployment; requests may call the model so.
        uri: ``models:/name/version`` or ``models:/name@alias``; the alias is resolved now.
        host: Address to listen on; other than loopback only with ``LLMOPS_API_KEY`` set.
        port: 0 takes a free one.
        engine: What generates; ``local`` is torch in the server's own process.

    Raises:
        UsageError: The name, the engine, the address or the URI cannot be.
        NotFoundError: No such version or alias.
        ServeError: The name or the port is in use, or the server did not start.
    """
    if engine not in ENGINES:
        raise UsageError(f"engine {engine!r}: allowed is {', '.join(ENGINES)}")
    with state.locked(name):
        _refuse_running(name)
        with listen(host, port) as listening:
            connection.connect()
            return _start(name, resolve(uri).uri, listening)


def delete(name: str) -> None:
    """Stops a deployment: answers in flight are finished, then nothing of it is left.

    Raises:
        NotFoundError: No such deployment.
    """
    with state.locked(name):
        process = state.process_of(state.get(name))
        if process is not None:
            say(f"{name}: stopping; answers in flight have {DRAIN_SECONDS} s")
            _stop(process)
        state.forget(name)


def run(name: str, uri: str, *, host: str = LOOPBACK, port: int = 0, engine: str = "local") -> None:
    """Serves in the foreground: like ``create``, until Ctrl-C, SIGTERM or the server's end."""
    with suppress(ValueError):  # a supervisor's SIGTERM; only a main thread may ask for it
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    deployment = create(name, uri, host=host, port=port, engine=engine)
    try:
        say("Ctrl-C stops it")
        psutil.Process(deployment.pid).wait()
    except KeyboardInterrupt:
        delete(name)
        return
    raise ServeError(
        f"{name}: the server has ended by itself", next_command=f"see {deployment.log}"
    )


def listen(host: str, port: int) -> socket.socket:
    """A listening socket: from now on the port is ours.

    Raises:
        UsageError: Not an address, or one that others can reach while no key is set.
        ServeError: The port is in use, or may not be used.
    """
    if not 0 <= port <= MAX_PORT:
        raise UsageError(f"port {port}: must be between 0 (a free one) and {MAX_PORT}")
    family, address = _address(host, port)
    if not ipaddress.ip_address(address[0]).is_loopback and not os.environ.get(client.KEY_VARIABLE):
        raise UsageError(
            f"host {host}: others can reach it, and no key is set",
            next_command=f"export {client.KEY_VARIABLE}=…, or leave out the host ({LOOPBACK})",
        )
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen()
    except OSError as error:
        listening.close()
        raise ServeError(
            f"{host}:{port}: cannot listen there ({error.strerror})",
            next_command="the same with `-C port=0` (a free port), or end what uses it"
            f" (`ss -ltnp 'sport = :{port}'` shows it)",
        ) from error
    return listening


def _address(host: str, port: int) -> tuple[int, tuple[Any, ...]]:
    """Family and socket address; IPv4 if the name has both, as clients try 127.0.0.1."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise UsageError(f"host {host!r}: not an address ({error})") from error
    family, *_, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    return family, address


def _refuse_running(name: str) -> None:
    found = state.find(name)
    if found is not None and state.process_of(found) is not None:
        raise ServeError(
            f"deployment {name}: runs already: {found.uri} at {found.endpoint}",
            next_command=f"mlflow deployments delete -t llmops --name {name}",
        )


def _start(name: str, uri: str, listening: socket.socket) -> Deployment:
    folder = state.folder(name)
    folder.mkdir(exist_ok=True)
    log = folder / state.LOG_FILE
    say(f"{name}: loading {uri}; log: {log}")
    server = _spawn(name, uri, listening, log)
    try:
        deployment = Deployment(
            name=name,
            model=uri.removeprefix("models:/"),
            uri=uri,
            endpoint=_endpoint(listening),
            pid=server.pid,
            created=psutil.Process(server.pid).create_time(),
            log=log,
        )
        listening.close()  # the server's copy alone decides whether the port answers
        state.write(deployment)  # before it is ready: if this command is killed, delete finds it
        _wait_ready(server, deployment)
    except BaseException:
        if server.poll() is None:
            _kill([psutil.Process(server.pid)])
        server.wait()
        state.forget(name, keep_log=True)
        raise
    server.returncode = 0  # it outlives this command: nobody waits for it
    say(f"{name}: {uri} answers at {deployment.endpoint}")
    return deployment


def _spawn(name: str, uri: str, listening: socket.socket, log: Path) -> subprocess.Popen[bytes]:
    """The server in a session of its own, so that Ctrl-C here does not reach it."""
    import mlflow

    environment = os.environ | {
        "MLFLOW_TRACKING_URI": mlflow.get_tracking_uri(),
        "MLFLOW_REGISTRY_URI": mlflow.get_registry_uri(),
        "HF_HUB_OFFLINE": "1",
    }
    fd = listening.fileno()
    # -P: a file of the user's folder must not stand in for a module of the same name.
    command = [sys.executable, "-P", "-m", "llmops.serve.worker.main"]
    with log.open("wb") as output:
        return subprocess.Popen(
            [*command, "--name", name, "--uri", uri, "--fd", str(fd)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            pass_fds=[fd],
            start_new_session=True,
        )


def _endpoint(listening: socket.socket) -> str:
    """Where this machine reaches the socket, also if it listens on every address."""
    host, port = listening.getsockname()[:2]
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        address = ipaddress.ip_address(LOOPBACK if address.version == 4 else "::1")
    return f"http://[{address}]:{port}" if address.version == 6 else f"http://{address}:{port}"


def _wait_ready(server: subprocess.Popen[bytes], deployment: Deployment) -> None:
    began = said = time.monotonic()
    while not client.is_ready(deployment.endpoint):
        now = time.monotonic()
        if server.poll() is not None:
            raise _failure(deployment, f"the server ended with status {server.returncode}")
        if now - began > START_SECONDS:
            raise _failure(deployment, f"not ready after {START_SECONDS:.0f} s")
        if now - said >= SAY_EVERY_SECONDS:
            said = now
            say(f"{deployment.name}: still loading ({now - began:.0f} s)")
        time.sleep(POLL_SECONDS)


def _failure(deployment: Deployment, what: str) -> ServeError:
    return ServeError(
        f"deployment {deployment.name}: {what}; its last words:\n{last_words(deployment.log)}",
        next_command=f"less {deployment.log}",
    )


def _stop(process: psutil.Process) -> None:
    """Asks the process to end, then ends what is left of its family."""
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
