"""The events of one streamed answer: read, counted, and passed on as the engine wrote them."""

from __future__ import annotations

import time
from typing import Any

from llmops.serve.gateway.hooks import Exchange
from llmops.serve.gateway.proxy import events
from llmops.serve.gateway.proxy.events import Malformed, Splitter

PARTS = ("content", "text", "reasoning_content", "reasoning", "tool_calls", "finish_reason")
"""Keys of a choice or its delta that carry an answer."""


class EngineFailed(Malformed):
    """An event with which the engine reports that it failed."""


class Stream:
    """Takes what arrives from an engine, and returns what the client is to receive.

    Args:
        exchange: The request, whose tokens and events are written down.
        began: ``time.perf_counter`` of the request.
        usage: Whether the client wants the event with the token counts.
        keep: Whether the events are kept in ``exchange``.
    """

    def __init__(self, exchange: Exchange, began: float, *, usage: bool, keep: bool) -> None:
        self._exchange, self._usage, self._keep = exchange, usage, keep
        self._splitter = Splitter()
        self._began = began
        self.done = False
        """Whether the event came that ends a stream."""
        self.failure: Malformed | None = None
        """Why the stream cannot be continued after what was taken."""

    def take(self, piece: bytes) -> bytes:
        """Return the events in the next bytes, up to the first that cannot be passed on."""
        ready = []
        try:
            for event in self._splitter.feed(piece):
                payload = events.data(event)
                if payload == events.DONE:
                    self.done = True
                    break
                if payload is None or self._passes(payload):
                    ready.append(event)
        except Malformed as failure:
            self.failure = failure
        return b"".join(ready)

    def _passes(self, payload: bytes) -> bool:
        exchange = self._exchange
        fields = events.read(payload, exchange.served.name)
        if fields.get("error"):
            raise EngineFailed("error event")
        choices = fields.get("choices") or []
        if not isinstance(choices, list) or not all(isinstance(one, dict) for one in choices):
            raise Malformed("choices")
        if exchange.first is None and any(map(_says_something, choices)):
            exchange.first = time.perf_counter() - self._began
        if choices:  # until the engine reports it: about one token an event
            exchange.completion_tokens = (exchange.completion_tokens or 0) + 1
        if usage := fields.get("usage"):
            count(exchange, usage)
            if not self._usage and not choices:
                return False
        if self._keep:
            exchange.events.append(payload)
        return True


def _says_something(choice: dict[str, Any]) -> bool:
    """Return whether a choice has a part of the answer, and not only its role."""
    delta = choice.get("delta")
    return any(map(choice.get, PARTS)) or (isinstance(delta, dict) and any(map(delta.get, PARTS)))


def count(exchange: Exchange, usage: Any) -> None:
    """Write down the token counts that an engine reports; ignore anything else."""
    if isinstance(usage, dict):
        for name in ("prompt_tokens", "completion_tokens"):
            value = usage.get(name)
            setattr(exchange, name, value if isinstance(value, int) else None)
