"""Queue of requests: one generation at a time, outside the event loop.

The active adapter is state of the torch model, so a single thread owns the engine. Requests wait in
that thread's bounded queue; a request whose client has disconnected is cancelled between two pieces.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace

from llmops.engine import Engine, Request
from llmops.engine.chat_format import Messages
from llmops.errors import ServeError
from llmops.records import Answer, Sampling, Side

WAITING = 16
"""Maximum number of requests that wait while one is being answered."""

Prompt = Messages | str
Pieces = Generator[str | Answer, None, None]


class Busy(ServeError):
    """The queue of requests is full."""


class Job:
    """A queued request, whose pieces of text arrive one by one, then the answer or an error."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._arrived: asyncio.Queue[str | Answer | BaseException] = asyncio.Queue()
        self._cancelled = threading.Event()

    async def next(self) -> str | Answer:
        """Wait for the next piece; the last one is the ``Answer``.

        Raises:
            UsageError: The prompt cannot be answered.
            LlmopsError: The generation failed.
        """
        try:
            item = await self._arrived.get()
        except BaseException:  # the caller is gone
            self.cancel()
            raise
        if isinstance(item, BaseException):
            raise item
        return item

    def cancel(self) -> None:
        """End the generation at its next piece; a finished one is unaffected."""
        self._cancelled.set()

    def run(self, pieces: Pieces) -> None:
        """Generate in the engine's thread.

        Args:
            pieces: Generator of pieces of text and, last, the answer.
        """
        try:
            with closing(pieces):
                while not self._cancelled.is_set():
                    if (piece := next(pieces, None)) is None:
                        return
                    self._deliver(piece)
        except BaseException as error:
            self._deliver(error)

    def _deliver(self, item: str | Answer | BaseException) -> None:
        with suppress(RuntimeError):  # the event loop has closed
            self._loop.call_soon_threadsafe(self._arrived.put_nowait, item)


class QueuedEngine:
    """An engine that answers requests one after another.

    Args:
        engine: Engine, for exclusive use.
        side: Model of the engine that answers.
        waiting: Maximum number of waiting requests.
    """

    def __init__(self, engine: Engine, side: Side, *, waiting: int = WAITING) -> None:
        self._engine, self._side = engine, side
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="llmops-generate")
        self._places = threading.BoundedSemaphore(1 + waiting)

    def submit(self, prompt: Prompt, *samplings: Sampling) -> Job:
        """Queue a request, which takes one place however many answers it has.

        To be called on the event loop.

        Args:
            prompt: Messages, or a text to continue.
            *samplings: Sampling of each answer, which the job delivers one after another;
                ``max_tokens`` is ``None`` without the client's limit.

        Raises:
            Busy: The queue is full.
        """
        if not self._places.acquire(blocking=False):
            raise Busy("too many requests are waiting for an answer")
        job = Job()
        future = self._thread.submit(job.run, self._pieces(prompt, samplings))
        future.add_done_callback(self._leave)
        return job

    def _leave(self, _: Future[None]) -> None:
        self._places.release()

    def _pieces(self, prompt: Prompt, samplings: Sequence[Sampling]) -> Pieces:
        for sampling in samplings:
            if sampling.seed is None:  # otherwise an earlier request's seed would decide
                sampling = replace(sampling, seed=secrets.randbits(63))
            with closing(self._engine.stream(Request(self._side, prompt, sampling))) as pieces:
                yield from pieces
