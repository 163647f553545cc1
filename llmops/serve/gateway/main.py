"""Entry point of a deployment's gateway: ``python -m llmops.serve.gateway.main NAME --fd N``.

It inherits a listening socket, so a port in use is noticed before a model is loaded, reads its
settings from the state of deployments, and records there what it does.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Callable
from functools import partial

import click

from llmops.errors import LlmopsError
from llmops.progress import say
from llmops.records.serving import Served
from llmops.serve.deployment import state
from llmops.serve.deployment.config import ALLOW, Config
from llmops.serve.engines.protocol import EngineProcess, EngineSettings
from llmops.serve.gateway import logs
from llmops.serve.gateway.doors import connections
from llmops.serve.gateway.parts import Parts
from llmops.serve.gateway.service import Service

SWITCH_SECONDS = 0.001
"""Seconds for which a thread may keep the interpreter while the event loop waits for it."""
REGISTRY = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}
"""Settings of MLflow's client: the alias is asked for again anyway."""


@click.command()
@click.argument("name")
@click.option("--fd", required=True, type=int, help="Inherited listening socket.")
def main(name: str, fd: int) -> None:
    """Serve the deployment NAME on an inherited socket until SIGTERM."""
    with socket.socket(fileno=fd) as listening:
        try:
            config = state.claim(name)
            logs.start(state.folder(name))
            made = parts(config)
            try:
                serve(made, listening)
            finally:
                made.close()
        except LlmopsError as error:
            state.report(name, phase="", error=error.message, next_command=error.next_command)
            say(f"error: {error}")
            sys.exit(error.exit_code)
    state.report(name, phase="", processes=[], control=None, token=None)


def serve(made: Parts, listening: socket.socket) -> None:
    """Serve a deployment until SIGTERM.

    Args:
        made: Its parts.
        listening: Listening socket.

    Raises:
        LlmopsError: The first version cannot be served.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    connections.raise_file_limit()

    async def run() -> None:
        await Service(made).run(listening)

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(run())


def parts(config: Config) -> Parts:
    """Return the parts of a deployment with these settings.

    Raises:
        LlmopsError: The store or the state cannot be used.
    """
    from llmops.models.proof import proof
    from llmops.serve.auth.guard import Guard
    from llmops.serve.gateway.versions.fetch import fetcher
    from llmops.serve.traces.recorder import Recorder
    from llmops.store import connection, registry

    for name, value in REGISTRY.items():
        os.environ.setdefault(name, value)
    connection.connect()
    folder = state.folder(config.name)
    settings = EngineSettings(
        engine=config.engine,
        folder=folder,
        python=config.vllm,
        arguments=config.vllm_args,
        merged=config.merged,
        memory=config.memory,
        max_tokens=config.max_tokens,
    )
    return Parts(
        config=config,
        fetch=fetcher(proof, allow_unproven=config.unproven == ALLOW),
        open_process=partial(_open, settings),
        lookup=registry.version_of_alias,
        versions=settings.adapters,
        guard=Guard(config),
        recorder=Recorder(config, folder),
        report=partial(state.report, config.name),
        retarget=partial(state.retarget, config.name),
    )


def _open(settings: EngineSettings, served: Served) -> EngineProcess:
    from llmops.serve.engines import choose

    return choose.open_process(choose.engine_kind(settings, served.files), served, settings)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's loop where it exists."""
    if os.name == "nt":
        return None
    import uvloop

    return uvloop.new_event_loop


if __name__ == "__main__":
    main(standalone_mode=False)
    logging.shutdown()
    # What is left would take seconds: to free the modules of MLflow, one by one.
    os._exit(0)
