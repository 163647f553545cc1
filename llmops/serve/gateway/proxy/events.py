"""Server-sent events: split what arrives into events, and read their data."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

BOUNDARY = re.compile(rb"\r?\n\r?\n")
PREFIX = b"data:"
DONE = b"[DONE]"
"""Data of the event that ends a stream."""
LAST = b"data: [DONE]\n\n"
MAX_EVENT = 1 << 22
"""Bytes of an event; an engine that sends more without a boundary has lost its way."""


class Malformed(ValueError):
    """An event that is not what the protocol allows."""


class Splitter:
    """Splits a stream of bytes into events, however the bytes were cut on their way."""

    def __init__(self) -> None:
        self._rest = b""

    @property
    def rest(self) -> bytes:
        """The beginning of an event that is not complete."""
        return self._rest

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Yield the events that are complete, each with its boundary.

        Raises:
            Malformed: An event is too long.
        """
        rest = self._rest + piece if self._rest else piece
        begin = 0
        for match in BOUNDARY.finditer(rest):
            yield rest[begin : match.end()]
            begin = match.end()
        self._rest = rest[begin:]
        if len(self._rest) > MAX_EVENT:
            raise Malformed("an event without end")


def data(event: bytes) -> bytes | None:
    """Return the data of an event; ``None`` for a comment, which keeps a connection alive."""
    lines = [line[len(PREFIX) :].strip() for line in event.splitlines() if line.startswith(PREFIX)]
    return b"\n".join(lines) if lines else None


def read(payload: bytes, model: str) -> dict[str, Any]:
    """Read the JSON of an event or of a whole answer.

    Args:
        payload: JSON.
        model: Name of the version that was asked.

    Raises:
        Malformed: It is not a JSON object, or it names another model.
    """
    try:
        fields = json.loads(payload)
    except (ValueError, RecursionError):
        raise Malformed("not JSON") from None
    if not isinstance(fields, dict):
        raise Malformed("not an object")
    if fields.get("model", model) != model:
        raise Malformed("another model answered")
    return fields


def of_json(fields: Mapping[str, object]) -> bytes:
    """Return an event with a JSON object as its data."""
    return b"data: " + json.dumps(fields).encode() + b"\n\n"
