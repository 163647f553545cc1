"""Entry point of a worker: ``python -P -m llmops.serve.worker.main --fd N --files-json PATH``.

It inherits a listening socket on loopback, so no other process can take the port while the model is
loaded, and answers on it once the model is ready. After SIGTERM, answers in progress are finished.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from typing import TYPE_CHECKING, TextIO

import click

from llmops.errors import LlmopsError, UsageError
from llmops.progress import say
from llmops.records import ModelFiles

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from llmops.engine.local.continuous import ContinuousBatch

KEY = "LLMOPS_WORKER_KEY"
"""Environment variable with the key that requests must carry."""
DRAIN_SECONDS = 30
"""Seconds that answers in progress may take after SIGTERM."""


@click.command()
@click.option("--fd", required=True, type=int, help="Inherited listening socket.")
@click.option(
    "--files-json",
    required=True,
    type=click.File(),
    help="File with the first version, {name, files}; - for the standard input.",
)
@click.option("--rows", type=int, help="Answers that are generated together at most.")
@click.option("--max-tokens", type=int, help="Tokens of an answer without a limit, at most.")
def main(fd: int, files_json: TextIO, rows: int | None, max_tokens: int | None) -> None:
    """Serve versions of one base model on an inherited socket."""
    from llmops.serve.engines.files_json import from_json

    key = os.environ.pop(KEY, None)
    try:
        if not key:
            raise UsageError(f"the environment variable {KEY} must hold the key of the worker")
        first = json.load(files_json)
        with socket.socket(fileno=fd) as listening:
            files = from_json(first["files"])
            serve(first["name"], files, listening, key, rows=rows, max_tokens=max_tokens)
    except LlmopsError as error:
        say(f"error: {error}")
        sys.exit(error.exit_code)


def serve(
    name: str,
    files: ModelFiles,
    listening: socket.socket,
    key: str,
    *,
    rows: int | None = None,
    max_tokens: int | None = None,
) -> None:
    """Load the first version, then answer requests until a signal arrives.

    Args:
        name: Name of the version for requests.
        files: The version.
        listening: Listening socket.
        key: Key that requests must carry.
        rows: Answers that are generated together at most.
        max_tokens: Tokens of an answer whose request sets no limit, at most; never more than the
            default.

    Raises:
        LlmopsError: The model cannot be loaded, or the engine broke down.
    """
    from llmops.engine.local.continuous import ContinuousBatch
    from llmops.engine.local.engine import LocalEngine
    from llmops.engine.requests import DEFAULT_ANSWER_TOKENS
    from llmops.models.resolve import of_base
    from llmops.serve.engines import verified
    from llmops.serve.worker.app import create_app
    from llmops.serve.worker.versions import Versions, changes_base

    verified.check(files)
    sides = [files] if changes_base(files) else [files, of_base(files.base)]
    batch = ContinuousBatch(LocalEngine(sides), rows=rows)
    most = min(max_tokens or DEFAULT_ANSWER_TOKENS, DEFAULT_ANSWER_TOKENS)
    app = create_app(batch, Versions(batch, name, files), key=key, most=most)
    _answer(app, batch, listening)


def _answer(app: Starlette, batch: ContinuousBatch, listening: socket.socket) -> None:
    """Answer requests until a signal arrives.

    Raises:
        LlmopsError: The batch broke down.
    """
    import uvicorn

    settings = uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    server = uvicorn.Server(settings)

    def end_with_the_batch() -> None:
        batch.wait()
        server.should_exit = True

    threading.Thread(target=end_with_the_batch, daemon=True).start()
    try:
        server.run(sockets=[listening])
        broken = not batch.alive
    finally:
        batch.close()
    if broken:
        raise LlmopsError("the engine broke down; the lines above have the reason")


if __name__ == "__main__":
    main()
