"""Requests that arrive at random times, and what a continuous batch delivers for them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from llmops.engine import Request
from llmops.engine.local.continuous import ContinuousBatch
from llmops.records import Answer

SECONDS = 120.0


@dataclass
class Caller:
    """One request, and what was delivered for it.

    Attributes:
        pieces: Pieces of text.
        last: The answer or the exception.
        first: Set at the first delivery.
        done: Set at the last one.
    """

    request: Request
    pieces: list[str] = field(default_factory=list)
    last: Answer | BaseException | None = None
    first: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)
    ticket: Any = None

    def asks(self, batch: ContinuousBatch, **options: Any) -> Caller:
        self.ticket = batch.submit(self.request, self.takes, **options)
        return self

    def takes(self, item: str | Answer | BaseException) -> None:
        assert not self.done.is_set(), "nothing may follow the answer"
        if isinstance(item, str):
            assert item
            self.pieces.append(item)
        else:
            self.last = item
            self.done.set()
        self.first.set()

    @property
    def answer(self) -> Answer:
        assert self.done.wait(SECONDS)
        if isinstance(self.last, BaseException):
            raise self.last
        assert self.last is not None
        return self.last
