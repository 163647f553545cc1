"""Connections to the engines, kept open between requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from llmops.serve.gateway.proxy.events import Malformed, read
from llmops.serve.gateway.versions.engine import Engine

HEALTH = "/health"
KEEP_SECONDS = 4.0
"""Seconds for which an unused connection is kept; engines close theirs after 5 s."""
CONNECT_SECONDS = 5.0
TRIES = 2
"""Attempts to reach an engine, as long as it has answered nothing."""
CHUNK_BYTES = 1 << 18
"""Bytes that are read ahead of a client that reads slowly."""


class EngineLost(Exception):
    """The engine cannot be reached, or the connection broke."""


class Upstream:
    """The gateway's HTTP client; to be opened on the event loop."""

    def __init__(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_SECONDS),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            read_bufsize=CHUNK_BYTES,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    @asynccontextmanager
    async def post(
        self, engine: Engine, path: str, body: bytes
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request and yield the response, whose body is read within the block.

        A connection that fails before anything was answered is tried once more: an engine may close
        an unused connection in the moment in which it is used.

        Raises:
            EngineLost: The engine does not answer, or breaks off.
        """
        try:
            response = await self._opened(engine, path, body)
            try:
                yield response
                response.release()
            finally:
                response.close()  # ends the work for an answer that was not read to its end
        except (aiohttp.ClientError, OSError) as error:
            engine.suspect()
            raise EngineLost(type(error).__name__) from error

    async def ask(
        self, engine: Engine, path: str, body: bytes, model: str, seconds: float
    ) -> dict[str, Any]:
        """Return a whole answer as its fields.

        Raises:
            EngineLost: The engine does not answer in time, or breaks off.
            Malformed: It refuses, or its answer is none.
        """
        try:
            async with asyncio.timeout(seconds), self.post(engine, path, body) as response:
                payload = await response.read()
        except TimeoutError:
            raise EngineLost(f"no answer within {seconds:.0f} s") from None
        if response.status != 200:
            raise Malformed(f"HTTP status {response.status}")
        return read(payload, model)

    async def is_heard(self, engine: Engine, seconds: float) -> bool:
        """Return whether an engine answers, whatever it says, within this time.

        The question has a connection of its own, as the others may wait for answers.
        """
        headers = {"Authorization": f"Bearer {engine.key}", "Connection": "close"}
        try:
            async with asyncio.timeout(seconds):
                async with self._session.get(engine.address + HEALTH, headers=headers):
                    return True
        except (TimeoutError, aiohttp.ClientError, OSError):
            return False

    async def _opened(self, engine: Engine, path: str, body: bytes) -> aiohttp.ClientResponse:
        headers = {
            "Authorization": f"Bearer {engine.key}",
            "Content-Type": "application/json",
        }
        url = engine.address + path
        for left in reversed(range(TRIES)):
            try:
                return await self._session.post(
                    url, data=body, headers=headers, allow_redirects=False
                )
            except (aiohttp.ClientConnectionError, OSError):
                if not left:
                    raise
        raise AssertionError("unreachable")
