"""One generation at a time, off the event loop, with a bounded queue before it.

The adapter that is active is state of the torch model, so one thread owns the engine. Requests
wait in that thread's queue; a request whose client has gone is cancelled between two pieces.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace

from llmops.engine import Engine, Request
from llmops.engine.chat_format import Messages
from llmops.errors import ServeError
from llmops.records import Answer, Sampling, Side

WAITING = 16
"""Requests that may wait for the one that is being answered."""

Prompt = Messages | str
Pieces = Generator[str | Answer, None, None]


class Busy(ServeError):
    """The queue is full."""


class Job:
    """A request on its way: pieces of text arrive, then the answer or an exception."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._arrived: asyncio.Queue[str | Answer | BaseException] = asyncio.Queue()
        self._cancelled = threading.Event()

    async def next(self) -> str | Answer:
        """Waits for the next piece; the last is an ``Answer``.

        Raises:
            UsageError: The prompt cannot be answered.
        """
        try:
            item = await self._arrived.get()
        except BaseException:  # nobody will ask again
            self.cancel()
            raise
        if isinstance(item, BaseException):
            raise item
        return item

    def cancel(self) -> None:
        """Ends the generation at its next piece; of no effect on a finished one."""
        self._cancelled.set()

    def run(self, pieces: Pieces) -> None:
        """Generates, in the engine's thread."""
        try:
            with closing(pieces):
                while not self._cancelled.is_set():
                    if (piece := next(pieces, None)) is None:
                        return
                    self._deliver(piece)
        except BaseException as error:
            self._deliver(error)

    def _deliver(self, item: str | Answer | BaseException) -> None:
        with suppress(RuntimeError):  # the event loop has closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._arrived.put_nowait, item)


class QueuedEngine:
    """An engine that answers requests one after another.

    Args:
        engine: Used by no one else from now on.
        side: Which of its models answers.
        waiting: Requests that may wait.
    """

    def __init__(self, engine: Engine, side: Side, *, waiting: int = WAITING) -> None:
        self._engine, self._side = engine, side
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="llmops-generate")
        self._places = threading.BoundedSemaphore(1 + waiting)

    def submit(self, prompt: Prompt, sampling: Sampling) -> Job:
        """Queues a request; call it on the event loop.

        Args:
            prompt: Messages, or a text to continue.
            sampling: How to generate; a ``max_tokens`` of ``None`` if the client names no limit.

        Raises:
            Busy: Too many wait already.
        """
        if not self._places.acquire(blocking=False):
            raise Busy("too many requests wait for an answer")
        job = Job()
        future = self._thread.submit(job.run, self._pieces(prompt, sampling))
        future.add_done_callback(self._leave)
        return job

    def _leave(self, _: Future[None]) -> None:
        self._places.release()

    def _pieces(self, prompt: Prompt, sampling: Sampling) -> Pieces:
        if sampling.seed is None:  # else the seed of an earlier request would decide this answer
            sampling = replace(sampling, seed=secrets.randbits(63))
        with closing(self._engine.stream(Request(self._side, prompt, sampling))) as pieces:
            yield from pieces
