"""The client of a request: notice when it leaves, and end the work for it at once."""

from __future__ import annotations

import asyncio
from types import TracebackType

from starlette.types import Receive


class Gone(Exception):
    """The client disconnected before the end of its answer."""


class Presence:
    """Cancels the work in its block when the client disconnects, and raises ``Gone`` instead.

    Args:
        receive: ASGI's channel from the client, after the whole body was read.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._gone = self._finished = False

    def finish(self) -> None:
        """Say that the last part of the answer is being sent: the end is no departure."""
        self._finished = True

    async def __aenter__(self) -> Presence:
        """Begin to watch."""
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._watch = asyncio.create_task(self._wait())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the watch.

        Raises:
            Gone: The client left.
        """
        self._watch.cancel()
        if self._gone and self._task.uncancel() == 0 and kind is asyncio.CancelledError:
            raise Gone from None

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if not self._finished:
            self._gone = True
            self._task.cancel()
