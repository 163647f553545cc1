"""Places at the engine: some requests are answered together, some wait in order, no more come in."""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType

from llmops.engine.openai.errors import ApiError

RETRY_SECONDS = 2
"""Seconds after which a client may try again when the queue is full."""


class Admission:
    """Hands out places, the longest waiting request first.

    Use it as ``async with admission:``; a task that is cancelled while it waits frees its place.

    Args:
        concurrency: Requests that are answered together.
        queue: Requests that may wait.
    """

    def __init__(self, concurrency: int, queue: int) -> None:
        self.concurrency, self.queue = concurrency, queue
        self.answering = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """Number of requests that wait for a place."""
        return len(self._waiting)

    def widen(self, concurrency: int) -> None:
        """Change the number of requests that are answered together."""
        self.concurrency = concurrency
        self._call()

    async def __aenter__(self) -> None:
        """Take a place, or wait for one.

        Raises:
            ApiError: The queue is full (503 with ``Retry-After``).
        """
        if self.answering < self.concurrency and not self._waiting:
            self.answering += 1
            return
        if len(self._waiting) >= self.queue:
            raise ApiError(
                503,
                f"too many requests: {self.answering} are being answered and {self.waiting} wait",
                code="overloaded",
                headers={"Retry-After": str(RETRY_SECONDS)},
            )
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # called, and gone in the same moment
                self._free()
            else:
                self._waiting.remove(turn)
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Free the place for the request that has waited longest."""
        self._free()

    def _free(self) -> None:
        self.answering -= 1
        self._call()

    def _call(self) -> None:
        while self._waiting and self.answering < self.concurrency:
            turn = self._waiting.popleft()
            if not turn.done():
                self.answering += 1
                turn.set_result(None)
