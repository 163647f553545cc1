"""The worker's application in this process, where a test needs a server of the OpenAI protocol."""

from __future__ import annotations

from typing import Any

from llmops.engine.local.continuous import ContinuousBatch
from llmops.engine.local.engine import LocalEngine
from llmops.records import ModelFiles
from llmops.serve.worker.app import create_app
from llmops.serve.worker.versions import Versions


def worker_app(
    engine: LocalEngine, side: ModelFiles, *names: str, key: str | None = "secret"
) -> Any:
    """An ASGI application that answers for one version under several names.

    Without a key, it takes every request for one with the key.
    """
    batch = ContinuousBatch(engine)
    versions = Versions(batch, names[0], side)
    for name in names[1:]:
        versions.load(name, side)
    app = create_app(batch, versions, key=key or "none")

    async def keyless(scope: Any, receive: Any, send: Any) -> None:
        if "headers" in scope:
            others = [pair for pair in scope["headers"] if pair[0] != b"authorization"]
            scope = {**scope, "headers": [*others, (b"authorization", b"Bearer none")]}
        await app(scope, receive, send)

    return keyless if key is None else app
