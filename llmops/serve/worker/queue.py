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
from typing import cast

from llmops.engine.chat_format import Messages
from llmops.engine.local.engine import LocalEngine
from llmops.errors import ServeError
from llmops.records import Answer, ModelFiles, Sampling

WAITING = 16
"""Requests that may wait for the one that is being answered."""
UNLIMITED_TOKENS = 512
"""Length of an answer whose client names none, if the context holds as many."""

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

    def __init__(self, engine: LocalEngine, side: ModelFiles, *, waiting: int = WAITING) -> None:
        self._engine, self._side = engine, side
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="llmops-generate")
        self._places = threading.BoundedSemaphore(1 + waiting)

    def submit(self, prompt: Prompt, sampling: Sampling, *, limited: bool = True) -> Job:
        """Queues a request; call it on the event loop.

        Args:
            prompt: Messages, or a text to continue.
            sampling: How to generate.
            limited: Whether ``sampling.max_tokens`` is the client's wish; else it is chosen here.

        Raises:
            Busy: Too many wait already.
        """
        if not self._places.acquire(blocking=False):
            raise Busy("too many requests wait for an answer")
        job = Job()
        future = self._thread.submit(job.run, self._pieces(prompt, sampling, limited))
        future.add_done_callback(self._leave)
        return job

    def _leave(self, _: Future[None]) -> None:
        self._places.release()

    def _pieces(self, prompt: Prompt, sampling: Sampling, limited: bool) -> Pieces:
        if not limited:
            used = len(self._engine.token_ids(self._engine.render(prompt)))
            room = max(1, self._engine.context - used)
            sampling = replace(sampling, max_tokens=min(UNLIMITED_TOKENS, room))
        if sampling.seed is None:  # else the seed of an earlier request would decide this answer
            sampling = replace(sampling, seed=secrets.randbits(63))
        # What the engine does with the messages is to render them, and ours renders text too.
        stream = self._engine.stream(self._side, cast("Messages", prompt), sampling)
        with closing(cast("Pieces", stream)) as pieces:
            yield from pieces
