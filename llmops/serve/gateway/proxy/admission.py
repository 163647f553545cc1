"""Places at the engine: some requests are answered together, some wait, no more come in.

Clients take turns, so that one that sends a hundred requests does not make the others wait for all of
them, and a full queue makes room for a client that has fewer requests in it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from llmops.engine.openai.errors import ApiError

RETRY_SECONDS = 2
"""Seconds after which a client may try again when the queue is full."""

Turn = asyncio.Future[None]


class Admission:
    """Hands out places: to each client in its turn, and to its longest waiting request first.

    Args:
        concurrency: Requests that are answered together.
        queue: Requests that may wait.
    """

    def __init__(self, concurrency: int, queue: int) -> None:
        self.concurrency, self.queue = concurrency, queue
        self.answering = self.waiting = 0
        self._lines: OrderedDict[str, deque[Turn]] = OrderedDict()
        """Requests that wait, by client; the client whose turn it is comes first."""

    def widen(self, concurrency: int) -> None:
        """Change the number of requests that are answered together."""
        self.concurrency = concurrency
        self._call()

    @asynccontextmanager
    async def place(self, client: str = "") -> AsyncIterator[None]:
        """Hold a place within the block, after waiting for one; a cancelled task frees it.

        Args:
            client: Who asks: the name of a key, or an address.

        Raises:
            ApiError: The queue is full (503 with ``Retry-After``).
        """
        await self._take(client)
        try:
            yield
        finally:
            self.answering -= 1
            self._call()

    async def _take(self, client: str) -> None:
        if self.answering < self.concurrency and not self.waiting:
            self.answering += 1
            return
        if self.waiting >= self.queue:
            self._make_room(client)
        turn: Turn = asyncio.get_running_loop().create_future()
        self._lines.setdefault(client, deque()).append(turn)
        self.waiting += 1
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.done() or turn.cancelled():
                self._leave(client, turn)
            elif turn.exception() is None:  # called, and gone in the same moment
                self.answering -= 1
                self._call()
            raise

    def _make_room(self, client: str) -> None:
        """Refuse the latest request of the client that has most, unless that is this one.

        Raises:
            ApiError: The client itself has as many as any other.
        """
        most = max(self._lines, key=lambda one: len(self._lines[one]), default=client)
        if most == client or len(self._lines[most]) <= len(self._lines.get(client, ())) + 1:
            raise self._full()
        turn = self._lines[most][-1]
        turn.set_exception(self._full())
        self._leave(most, turn)

    def _full(self) -> ApiError:
        return ApiError(
            503,
            f"too many requests: {self.answering} are being answered and {self.waiting} wait",
            code="overloaded",
            headers={"Retry-After": str(RETRY_SECONDS)},
        )

    def _leave(self, client: str, turn: Turn) -> None:
        self._lines[client].remove(turn)
        self.waiting -= 1
        if not self._lines[client]:
            del self._lines[client]

    def _call(self) -> None:
        """Call whoever's turn it is, as long as there are places."""
        while self.waiting and self.answering < self.concurrency:
            client, line = next(iter(self._lines.items()))
            turn = line[0]
            self._leave(client, turn)
            if client in self._lines:
                self._lines.move_to_end(client)
            if not turn.done():
                self.answering += 1
                turn.set_result(None)
