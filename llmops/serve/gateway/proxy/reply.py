"""Write a response to the client, once, with the headers that every answer carries."""

from __future__ import annotations

import json
from collections.abc import Mapping

from starlette.types import Send

from llmops.engine.openai.errors import ApiError

VERSION_HEADER = "x-llmops-model-version"
TRACE_HEADER = "x-mlflow-trace-id"
RECEIPT_HEADER = "x-llmops-receipt"
EXPOSED = (VERSION_HEADER, TRACE_HEADER, RECEIPT_HEADER, "retry-after")
"""Headers that pages in a browser may read."""
JSON = "application/json"
EVENTS = "text/event-stream; charset=utf-8"
UNBUFFERED = {"cache-control": "no-cache", "x-accel-buffering": "no"}
"""Headers of a stream: no proxy may hold it back."""


class Reply:
    """The response to one request.

    Args:
        send: ASGI's channel to the client.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self.headers: dict[str, str] = {}
        """Headers that the response carries whatever it is."""
        self.status = 0
        """Status that was sent; 0 before."""

    async def whole(
        self,
        status: int,
        body: bytes,
        kind: str = JSON,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Send a complete response."""
        length = {"content-length": str(len(body))}
        await self._start(status, kind, {**(headers or {}), **length})
        await self._send({"type": "http.response.body", "body": body})

    async def json(
        self,
        fields: Mapping[str, object],
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Send a JSON object."""
        await self.whole(status, json.dumps(fields).encode(), headers=headers)

    async def error(self, error: ApiError) -> None:
        """Send an error in OpenAI's format."""
        await self.json(error.body(), error.status, error.headers)

    async def begin(self) -> None:
        """Begin a stream of events."""
        await self._start(200, EVENTS, UNBUFFERED)

    async def piece(self, events: bytes) -> None:
        """Send events of a stream."""
        await self._send({"type": "http.response.body", "body": events, "more_body": True})

    async def end(self, events: bytes) -> None:
        """Send the last events of a stream."""
        await self._send({"type": "http.response.body", "body": events})

    async def _start(self, status: int, kind: str, headers: Mapping[str, str]) -> None:
        self.status = status
        every = {"content-type": kind, **self.headers, **headers}
        encoded = [(name.encode(), value.encode("latin-1")) for name, value in every.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": encoded})
