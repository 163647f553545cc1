"""A gateway of this process, over engines without a model: real HTTP on both sides."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from fake_process import Engines, Registry, version

from llmops.serve.deployment.config import Config
from llmops.serve.gateway.parts import Parts
from llmops.serve.gateway.service import Service

CHAT = "/v1/chat/completions"


class Running:
    """A running gateway, its registry and its engines."""

    def __init__(
        self, service: Service, url: str, registry: Registry, engines: Engines, http: Any
    ) -> None:
        self.service, self.url, self.registry, self.engines = service, url, registry, engines
        self.http: aiohttp.ClientSession = http
        self.reports: dict[str, Any] = {}

    async def ask(self, text: str = "hi", **fields: Any) -> tuple[int, Any, Any]:
        """Status, headers and JSON of a chat."""
        async with self.http.post(self.url + CHAT, json=body(text, **fields)) as response:
            return response.status, response.headers, await response.json()

    async def stream(self, text: str = "hi", **fields: Any) -> tuple[Any, list[bytes]]:
        """Headers of a streamed chat, and the data of its events."""
        asked = body(text, **fields, stream=True)
        async with self.http.post(self.url + CHAT, json=asked) as response:
            raw = await response.read()
            return response.headers, [part[6:] for part in raw.split(b"\n\n") if part]

    async def get(self, path: str) -> tuple[int, Any]:
        async with self.http.get(self.url + path) as response:
            raw = await response.read()
            is_json = response.content_type == "application/json"
            return response.status, (await response.json() if is_json else raw)


def body(text: str, **fields: Any) -> dict[str, Any]:
    """A chat request."""
    messages = [{"role": "user", "content": text}]
    return {"model": "bot", "messages": messages, "max_tokens": 4, **fields}


@asynccontextmanager
async def running(
    folder: Path,
    *options: str,
    registry: Registry | None = None,
    parts: Any = None,
    **settings: Any,
) -> AsyncIterator[Running]:
    """A gateway that serves ``bot@v7``, until the end of the block.

    Args:
        folder: For logs.
        options: Of the engines.
        registry: Its versions; by default 7 and 8.
        parts: Other fields of ``Parts``.
        settings: Of the deployment.
    """
    registry = registry or Registry(version(7), version(8))
    engines = Engines(folder, *options)
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    config = Config(
        name="desk", uri="models:/bot@champion", follow=True, host="127.0.0.1", port=port
    )
    reports: dict[str, Any] = {}
    made = Parts(
        config=dataclasses.replace(config, **settings),
        fetch=registry.fetch,
        open_process=engines.open,
        lookup=registry.lookup,
        report=lambda **changes: reports.update(changes),
        **(parts or {}),
    )
    service = Service(made)
    task = asyncio.create_task(service.run(listening))
    try:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
            one = Running(service, f"http://127.0.0.1:{port}", registry, engines, http)
            one.reports = reports
            while not task.done() and not service.router.announced:
                await asyncio.sleep(0.01)
            if not task.done():
                yield one
    finally:
        service.stop()
        try:
            await task
        finally:
            engines.close()
