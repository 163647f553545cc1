"""uvicorn's server, several of which run in one event loop."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from llmops.serve.gateway.doors import connections

EXIT_SECONDS = 2
"""Seconds that connections may take to close after the last answer."""


class Server(uvicorn.Server):
    """A server that leaves the signals to the process."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        """Leave the signals alone."""
        return nullcontext()


def make(app: ASGIApp, **options: Any) -> Server:
    """Return a server of an application.

    Args:
        app: The application.
        options: Settings of uvicorn besides those that every server here has.
    """
    settings = uvicorn.Config(
        app,
        **{"http": "httptools", **options},
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=connections.IDLE_SECONDS,
        timeout_graceful_shutdown=EXIT_SECONDS,
    )
    return Server(settings)
