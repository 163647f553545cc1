"""Create, restart and delete deployments."""

from __future__ import annotations

import dataclasses
import os
import signal
import socket
from contextlib import suppress
from pathlib import Path
from typing import Unpack

import psutil

from llmops.engine.vllm.environment import find_environment
from llmops.errors import ServeError, UsageError
from llmops.models.proof import proof
from llmops.models.resolve import resolve
from llmops.progress import say
from llmops.records import Deployment
from llmops.serve.auth import store
from llmops.serve.deployment import address, client, ending, launch, options, state, tls
from llmops.serve.deployment.config import ALLOW, Config
from llmops.serve.deployment.listing import public
from llmops.serve.deployment.options import Options
from llmops.serve.engines.protocol import VLLM
from llmops.store import connection, registry


def create(name: str, uri: str, *, key: str | None = None, **given: Unpack[Options]) -> Deployment:
    """Start a deployment and wait until it answers.

    Args:
        name: Name of the deployment; requests may use it as the model's name.
        uri: ``models:/NAME/VERSION`` or ``models:/NAME@ALIAS``. The deployment follows the alias:
            when it moves, the version that it names is served, without a lost request.
        key: A key that requests may carry, besides those of ``llmops keys``; by default that of
            ``LLMOPS_API_KEY``. Without any key only this machine can be served.
        given: Options; `mlflow deployments help -t llmops` explains each. ``follow=False`` pins the
            version that the alias names now.

    Returns:
        The running deployment, with its endpoint.

    Raises:
        UsageError: The name, the URI, an option or the key is invalid; or the version has no proof,
            and ``unproven`` is not ``allow``.
        NotFoundError: No such version or alias, or no environment with vLLM.
        ServeError: The name or the port is in use, or the deployment did not start.

    Example:
        from llmops.serve import ask, create, delete

        deployment = create("bot", "models:/bot@champion", port=8100)
        print(ask(deployment, [{"role": "user", "content": "Hello"}]).text)
        delete("bot")
    """
    secret = os.environ.get(client.KEY_VARIABLE) if key is None else key
    with state.locked(name):
        config = _with_key(options.configure(name, uri, secret, given))
        _refuse_running(name)
        with _listen(config) as listening:
            admitted = _admitted(config)
            try:
                return _start(admitted, listening)
            except BaseException:
                state.forget(name, keep_logs=True)
                raise


def restart(name: str) -> Deployment:
    """Start a deployment again with the same settings, at the same port.

    A gateway that still runs is stopped first; engines that a killed one left behind are killed.

    Args:
        name: Name of the deployment.

    Returns:
        The running deployment.

    Raises:
        NotFoundError: No such deployment.
        LlmopsError: See ``create`` for the other errors; the record is kept, so that ``restart``
            can be repeated.

    Example:
        from llmops.serve import restart

        print(restart("bot").endpoint)
    """
    with state.locked(name):
        config = _admitted(state.get_record(name).config)
        tls.check(config.tls_cert, config.tls_key)
        _stop(name, why="restarting")
        with _listen(config) as listening:
            return _start(config, listening)


def delete(name: str) -> None:
    """Stop a deployment after the answers in progress, and remove its state and logs.

    Args:
        name: Name of the deployment.

    Raises:
        NotFoundError: No such deployment.
        ServeError: Another command is starting, changing or stopping it.

    Example:
        from llmops.serve import delete

        delete("bot")
    """
    with state.locked(name):
        if state.find_gateway(name) is None:
            state.get_record(name)
        _stop(name, why="stopping")
        state.forget(name)


def run(name: str, uri: str, *, key: str | None = None, **given: Unpack[Options]) -> None:
    """Serve in the foreground until Ctrl-C, SIGTERM or the end of the gateway.

    Args:
        name: See ``create``.
        uri: See ``create``.
        key: See ``create``.
        given: See ``create``.

    Raises:
        ServeError: See ``create``; also if the gateway ends by itself.
        LlmopsError: See ``create`` for the other errors.

    Example:
        from llmops.serve import run

        run("bot", "models:/bot@champion", port=8100)
    """
    with suppress(ValueError):  # only the main thread can handle a supervisor's SIGTERM
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    deployment = create(name, uri, key=key, **given)
    try:
        say("Press Ctrl-C to stop")
        with suppress(psutil.NoSuchProcess):
            psutil.Process(deployment.pid).wait()
    except KeyboardInterrupt:
        writers = ending.writers(deployment.pid)
        delete(name)
        ending.finish(writers)
        return
    if state.find_record(name) is not None:  # not deleted by another command
        raise ServeError(
            f"deployment {name}: the gateway stopped by itself",
            next_command=f"less {deployment.log}",
        )


def _with_key(config: Config) -> Config:
    """Return the settings without a key that `llmops keys` made: it is valid until it is revoked.

    Raises:
        UsageError: It was revoked.
    """
    for key in store.list_keys():
        if key.hash == config.key_hash:
            if key.revoked is not None:
                raise UsageError(
                    f"{client.KEY_VARIABLE}: this key was revoked",
                    next_command=f"unset {client.KEY_VARIABLE}, or set another key",
                )
            return dataclasses.replace(config, key_hash=None)
    return config


def _refuse_running(name: str) -> None:
    record = state.find_record(name)
    if record is None:
        return
    if record.gateway.alive() is not None:
        raise ServeError(
            f"deployment {name}: already running: {record.config.uri} at {record.endpoint}",
            next_command=f"mlflow deployments update -t llmops --name {name} -m MODEL_URI, or"
            f" mlflow deployments delete -t llmops --name {name}",
        )
    ending.kill_left(record.status.processes)


def _listen(config: Config) -> socket.socket:
    """Return the listening socket; see ``address.listen``."""
    keyed = config.key_hash is not None or store.any_key()
    return address.listen(config.host, config.port, keyed=keyed)


def _admitted(config: Config) -> Config:
    """Check what can be checked before anything starts; a pinned alias becomes its version.

    Raises:
        LlmopsError: See ``create``.
    """
    if config.engine == VLLM:
        find_environment(None if config.vllm is None else Path(config.vllm))
    connection.connect()
    model, version = registry.parse(config.uri)
    uri = f"models:/{model}/{version}"
    say(f"{config.name}: fetching and checking {uri}")
    files = resolve(uri)
    try:
        proof(files)
    except UsageError as error:
        if config.unproven != ALLOW:
            raise
        say(f"warning: unproven=allow serves a version without proof: {error.__cause__ or error}")
    return config if config.follow else dataclasses.replace(config, uri=uri)


def _start(config: Config, listening: socket.socket) -> Deployment:
    config = dataclasses.replace(config, port=listening.getsockname()[1])
    scheme = "http" if config.tls_cert is None else "https"
    record = launch.start(config, listening, address.endpoint(listening, scheme))
    launch.announce(record)
    return public(record)


def _stop(name: str, *, why: str) -> None:
    """Stop a gateway, if it runs, and whatever it left."""
    gateway = state.find_gateway(name)
    process = None if gateway is None else gateway.alive()
    if process is not None:
        say(f"{name}: {why}; waiting up to {ending.DRAIN_SECONDS} s for answers in progress")
        ending.stop(process)
    with suppress(ServeError):  # a damaged record names no engines
        record = state.find_record(name)
        if record is not None:
            ending.kill_left(record.status.processes)
