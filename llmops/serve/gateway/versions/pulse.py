"""Whether an engine that runs still answers: one that hangs keeps its port open, and every request waits.

It is asked for its health only while requests wait for it, and seldom. An engine that computes answers
these questions all the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from llmops.serve.gateway.proxy.upstream import Upstream
from llmops.serve.gateway.versions.engine import Engine

EVERY_SECONDS = 5.0
"""Seconds between two questions."""
ANSWER_SECONDS = 2.0
"""Seconds to wait for an answer to one question."""
HUNG_SECONDS = 20.0
"""Seconds without any answer after which an engine counts as hung."""


class Pulse:
    """Asks one engine.

    Args:
        engine: The engine.
        upstream: Connections to the engines.
        awaited: Returns whether requests wait for the engine.
    """

    def __init__(
        self, engine: Engine, upstream: Upstream, awaited: Callable[[Engine], bool]
    ) -> None:
        self._engine, self._upstream, self._awaited = engine, upstream, awaited
        self._next = 0.0
        self._silent_since: float | None = None

    async def problem(self) -> str | None:
        """Return why the engine counts as hung, ``None`` if it does not."""
        if not self._awaited(self._engine):
            self._silent_since = None
            return None
        now = time.monotonic()
        if self._silent_since is None and now < self._next:
            return None
        self._next = now + EVERY_SECONDS
        if await self._upstream.is_heard(self._engine, ANSWER_SECONDS):
            self._silent_since = None
            return None
        self._silent_since = self._silent_since or now
        silent = time.monotonic() - self._silent_since
        return (
            f"it runs, but has not answered for {silent:.0f} s" if silent > HUNG_SECONDS else None
        )
