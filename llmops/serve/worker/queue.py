"""Requests on the event loop, and their answers from the thread that generates."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from llmops.engine import Request
from llmops.engine.chat_format import Messages
from llmops.engine.local.continuous import ContinuousBatch
from llmops.engine.local.decode.ticket import Deliver, Ticket
from llmops.engine.requests import DEFAULT_ANSWER_TOKENS
from llmops.errors import ServeError
from llmops.records import Answer, ModelFiles, Sampling

WAITING = 1024
"""Maximum number of waiting answers; the gateway in front of the worker has a limit of its own."""


class Busy(ServeError):
    """Too many requests are waiting."""


class Job:
    """The answers to one prompt, whose pieces of text arrive one by one.

    To be created on the event loop.

    Args:
        batch: Generates the answers.
        most: Maximum tokens of an answer whose sampling sets no maximum.
    """

    def __init__(self, batch: ContinuousBatch, most: int = DEFAULT_ANSWER_TOKENS) -> None:
        self._batch, self._most, self._loop = batch, most, asyncio.get_running_loop()
        self._arrived: asyncio.Queue[tuple[int, str | Answer | BaseException]] = asyncio.Queue()
        self.tickets: list[Ticket] = []
        self._cancelled = False

    def submit(
        self,
        side: ModelFiles,
        prompt: Messages | str,
        samplings: Sequence[Sampling],
        *,
        pieces: bool,
        top: int | None,
    ) -> None:
        """Render the prompt and queue its answers; to be called in a thread, as this takes a while.

        Args:
            side: The version that answers.
            prompt: Messages, or a text to continue.
            samplings: Sampling of each answer; without a seed, a random one is drawn.
            pieces: Whether pieces of text are wanted before each answer.
            top: Number of likeliest tokens to note; ``None`` to note no probabilities.

        Raises:
            UsageError: The prompt cannot be answered.
            Busy: Too many requests are waiting.
        """
        if self._batch.waiting + len(samplings) > WAITING:
            raise Busy("too many requests are waiting for an answer")
        for index, sampling in enumerate(samplings):
            if sampling.seed is None:
                sampling = replace(sampling, seed=secrets.randbits(63))
            request = Request(side, prompt, sampling, most=self._most)
            deliver = self._deliverer(index)
            self.tickets.append(self._batch.submit(request, deliver, pieces=pieces, top=top))
            if self._cancelled:
                self.cancel()

    async def next(self) -> tuple[int, str | Answer]:
        """Wait for the next piece of an answer, or its end.

        Returns:
            The index of the answer, and a piece of text or the ``Answer``.

        Raises:
            LlmopsError: The generation failed.
        """
        index, item = await self._arrived.get()
        if isinstance(item, BaseException):
            raise item
        return index, item

    async def whole(self) -> list[Answer]:
        """Wait for the whole answers, in the order of their samplings."""
        answers: dict[int, Answer] = {}
        while len(answers) < len(self.tickets):
            index, item = await self.next()
            if isinstance(item, Answer):
                answers[index] = item
        return [answers[index] for index in sorted(answers)]

    def cancel(self) -> None:
        """End the generation at its next token; finished answers are unaffected."""
        self._cancelled = True
        for ticket in self.tickets:
            ticket.cancel()

    def _deliverer(self, index: int) -> Deliver:
        def deliver(item: str | Answer | BaseException) -> None:
            with suppress(RuntimeError):  # the event loop has closed
                self._loop.call_soon_threadsafe(self._arrived.put_nowait, (index, item))

        return deliver
