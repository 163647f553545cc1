"""Entry point of a deployment's server process: ``python -m llmops.serve.worker.main``.

It inherits a listening socket, so a port in use is noticed before the model is loaded, and answers
on it once the model is ready. After SIGTERM, answers in progress are finished.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Sequence

import click

from llmops.errors import LlmopsError
from llmops.progress import say
from llmops.serve.deployment.client import KEY_VARIABLE
from llmops.serve.deployment.ending import DRAIN_SECONDS


@click.command()
@click.option("--name", required=True, help="Name of the deployment.")
@click.option("--uri", required=True, help="Immutable URI of the version.")
@click.option("--fd", required=True, type=int, help="Inherited listening socket.")
@click.option("--cors", multiple=True, help="Origin of pages that may ask; may be repeated.")
def main(name: str, uri: str, fd: int, cors: tuple[str, ...]) -> None:
    """Serve one model version on an inherited socket."""
    key = os.environ.pop(KEY_VARIABLE, None) or None
    try:
        with socket.socket(fileno=fd) as listening:
            serve(name, uri, listening, key, cors)
    except LlmopsError as error:
        say(f"error: {error}")
        sys.exit(error.exit_code)


def serve(
    name: str, uri: str, listening: socket.socket, key: str | None, origins: Sequence[str] = ()
) -> None:
    """Load the model, then answer requests until a signal arrives.

    Args:
        name: Name of the deployment.
        uri: Immutable URI of the version.
        listening: Listening socket.
        key: Key that requests must carry; ``None`` for no key.
        origins: Origins of pages that may ask from a browser.

    Raises:
        LlmopsError: The model cannot be found or loaded.
    """
    import uvicorn

    from llmops.engine import open_engine
    from llmops.models.resolve import resolve
    from llmops.serve.worker.app import create_app
    from llmops.serve.worker.queue import QueuedEngine

    files = resolve(uri)
    engine = QueuedEngine(open_engine("local", [files]), files)
    model = files.uri.removeprefix("models:/")
    app = create_app(engine, deployment=name, model=model, key=key, origins=origins)
    settings = uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    uvicorn.Server(settings).run(sockets=[listening])


if __name__ == "__main__":
    main()
