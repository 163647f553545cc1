"""Continuous batching: rows join and leave the batch while others are in their middle.

One thread owns the engine. It lets waiting rows begin, computes the next token of all rows, delivers
their text, and drops the rows that ended or whose callers left. Rows of several adapters and of the
base share the steps.

Source: G.-I. Yu et al., Orca, 2022, section 4.1 (iteration-level scheduling).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from itertools import count

from llmops.engine.local.decode.admission import Limits
from llmops.engine.local.decode.rounds import Rounds
from llmops.engine.local.decode.ticket import Deliver, Ticket
from llmops.engine.local.engine import LocalEngine
from llmops.engine.requests import Request
from llmops.errors import ServeError
from llmops.records import ModelFiles

CLOSED = "the engine is shutting down"


class ContinuousBatch:
    """Answers requests with one engine, many at a time.

    Args:
        engine: An engine that nothing else uses.
        rows: Rows that are decoded together at most; by default 32 on a CPU and 256 on a GPU.
    """

    def __init__(self, engine: LocalEngine, *, rows: int | None = None) -> None:
        self._engine = engine
        self._rounds = Rounds(engine, Limits.of(engine.model, engine.device, rows))
        self._numbers = count()
        self._arrived: list[Ticket] = []
        self._open: set[Ticket] = set()
        self._commands: list[Callable[[], None]] = []
        self._leaving: dict[str, ModelFiles] = {}
        self._closed = False
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="llmops-generate", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether requests are answered: not after ``close``, nor after a failure of the engine."""
        return self._thread.is_alive() and not self._closed

    @property
    def waiting(self) -> int:
        """Number of requests that have not begun."""
        return len(self._arrived) + self._rounds.waiting

    def submit(
        self, request: Request, deliver: Deliver, *, pieces: bool = True, top: int | None = None
    ) -> Ticket:
        """Queue a request; its prompt is rendered in the caller's thread.

        Args:
            request: The conversation, its side and its sampling.
            deliver: Takes pieces of text, then the ``Answer`` or an exception.
            pieces: Whether to deliver pieces of text before the answer.
            top: Number of likeliest tokens to note at each place; ``None`` to note no probabilities.

        Returns:
            The queued row: it can be cancelled, and has the log-probabilities at the end.

        Raises:
            UsageError: The request cannot be answered.
            ServeError: The batch is closed.
        """
        ticket = Ticket(self._engine.prompt(request), deliver, pieces=pieces, top=top)
        ticket.number = next(self._numbers)
        self._send(lambda: self._arrived.append(ticket))
        return ticket

    def load(self, side: ModelFiles) -> None:
        """Load another side of the same base, between two tokens.

        Raises:
            LlmopsError: The engine cannot load it; the sides that it has remain.
        """

        def load() -> None:
            self._leaving.pop(side.digest, None)
            self._engine.load(side)

        self._command(load)

    def unload(self, side: ModelFiles) -> None:
        """Remove a side once the answers in progress have ended."""
        self._command(lambda: self._leaving.update({side.digest: side}))

    def has(self, side: ModelFiles) -> bool:
        """Return whether a side is in memory; one that was unloaded may still be answering."""
        return self._engine.has(side.adapter_digest)

    def wait(self) -> None:
        """Wait until the batch is closed or has broken down."""
        self._thread.join()

    def close(self) -> None:
        """End all answers and the thread, and free the model; closing it again does nothing."""
        with self._news:
            self._closed = True
            self._news.notify()
        self._thread.join()
        self._engine.close()

    def _command(self, work: Callable[[], None]) -> None:
        """Let the thread do something between two tokens, and wait for it."""
        done: Future[None] = Future()

        def command() -> None:
            try:
                work()
                done.set_result(None)
            except BaseException as error:
                done.set_exception(error)

        self._send(lambda: self._commands.append(command))
        done.result()

    def _send(self, put: Callable[[], None]) -> None:
        with self._news:
            if self._closed:
                raise ServeError(CLOSED)
            put()
            self._news.notify()

    def _run(self) -> None:
        try:
            while self._takes_news():
                self._open = {ticket for ticket in self._open if ticket.runs}
                self._rounds.drop()
                self._forget()
                self._rounds.compute(self._is_wanted)
        finally:
            with self._news:  # whatever happened, nobody must wait for an answer
                self._closed = True
            for command in self._commands:
                command()
            for ticket in {*self._open, *self._arrived}:
                ticket.fail(ServeError(CLOSED))

    def _is_wanted(self) -> bool:
        return self._closed or bool(self._commands or self._arrived)

    def _takes_news(self) -> bool:
        """Wait until there is something to do; return false at the end."""
        with self._news:
            while not (self._is_wanted() or self._rounds.rows or self._leaving):
                self._news.wait()
            if self._closed:
                return False
            arrived, self._arrived = self._arrived, []
            commands, self._commands = self._commands, []
        self._open.update(arrived)
        for ticket in arrived:
            self._rounds.queue(ticket)
        for command in commands:
            command()
        return True

    def _forget(self) -> None:
        """Remove the sides that are no longer asked."""
        used = {row.prompt.adapter for row in self._rounds.rows}
        for digest, side in list(self._leaving.items()):
            if side.adapter_digest not in used:
                self._engine.unload(self._leaving.pop(digest))
