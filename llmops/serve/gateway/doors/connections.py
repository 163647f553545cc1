"""Connections to the gateway: a limited number, none of which may idle or dawdle.

Unauthenticated connections cost nothing to open. At the limit, the one that has been idle longest is
closed for the next; nothing about them is logged.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

WINDOWS = os.name == "nt"
if not WINDOWS:
    import resource

HEADER_SECONDS = 10.0
"""Seconds until the header of a request must be complete."""
IDLE_SECONDS = 30
"""Seconds for which a connection without a request is kept."""
HEADER_BYTES = 1 << 16
"""Bytes of the request line and the headers."""
ASK_SECONDS = 0.25
"""Seconds between two questions to a client that has closed its side of the connection."""
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
"""A response that every client of HTTP/1.1 skips."""
SPARE_FILES = 64
"""File descriptors that are not for clients: log, stores, control."""
MOST = 4096
FEWEST = 16
ABORT = "llmops.abort"
"""Key of the scope's function that closes the connection without sending what is left."""
TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"connection: close\r\ncontent-length: 0\r\n\r\n"
)


def limit(upstream: int) -> int:
    """Return the number of clients that the limit of open files allows.

    Args:
        upstream: Connections to engines, each of which takes a file descriptor as well.
    """
    if WINDOWS:
        return MOST
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return max(FEWEST, min(MOST, files - SPARE_FILES - min(upstream, files // 4)))


def raise_file_limit() -> None:
    """Allow as many open files as the system lets this process ask for."""
    if not WINDOWS:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Connection(HttpToolsProtocol):
    """A connection of uvicorn's with limits of its own; ``upstream`` is set by ``limited``."""

    upstream = 0
    idle: dict[Connection, None]
    """Connections without a request, the longest idle first."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._refused = self._begun = False
        self._head = self._fields = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._half_closed = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, in the place of an idle one if there are too many."""
        if len(self.connections) >= limit(self.upstream):
            if not self.idle:
                self._refused = True
                transport.abort()
                return
            next(iter(self.idle)).drop()
        super().connection_made(transport)
        self._wait_for_header()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if not self._refused:
            self._forget()
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what the client sent."""
        if self._refused or self.transport.is_closing():
            return
        waits = self in self.idle
        if waits and self._deadline is None:  # kept alive until now
            self._wait_for_header()
        super().data_received(data)
        if self in self.idle:
            self._head += len(data)
            if self._head > HEADER_BYTES:
                self._refuse_header()

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """Keep the connection if its client may still read the answer.

        Who has left and who has only sent everything look the same until something is sent to them:
        the system of a client that left resets the connection.
        """
        if not self._may_still_read():
            return None  # closes the connection
        self._half_closed = True
        self._ask_whether_it_reads()
        return True

    def _may_still_read(self) -> bool:
        cycle = self.cycle
        if self._refused or cycle is None or cycle.response_complete or self.pipeline:
            return False
        speaks_11 = cycle.scope["http_version"] == "1.1"
        return speaks_11 and not cycle.more_body and cycle.scope["scheme"] == "http"

    def _ask_whether_it_reads(self) -> None:
        cycle = self.cycle
        if not (self.transport.is_closing() or cycle is None or cycle.response_started):
            self.transport.write(INTERIM)
            self.loop.call_later(ASK_SECONDS, self._ask_whether_it_reads)

    def on_message_begin(self) -> None:
        """Begin a request, which may close its connection."""
        self._begun = True
        super().on_message_begin()
        self.scope["extensions"] = {ABORT: {"abort": self.transport.abort}}

    def on_url(self, url: bytes) -> None:
        """Take a part of the request line."""
        self._fields += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._fields += len(name) + len(value)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer; from now on the application watches the time.

        Raises:
            ValueError: The header is too large, or there is none (HTTP/0.9); the parser gives up and
                the client reads 400.
        """
        if self._fields > HEADER_BYTES or self.parser.get_http_version() == "0.9":
            raise ValueError("header")
        self._head = self._fields = 0
        self._begun = False
        self._forget()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        if self._half_closed:
            self.transport.close()
        if self.cycle.response_complete and not self.transport.is_closing():
            if self._begun:  # a part of the next header came with this request
                self._unset_keepalive_if_required()
                self._wait_for_header()
            self.idle[self] = None

    def drop(self) -> None:
        """Close the connection without sending what is left."""
        self.idle.pop(self, None)
        self.connections.discard(self)
        self.transport.abort()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that was idle for too long."""
        self.drop()

    def _wait_for_header(self) -> None:
        self.idle[self] = None
        self._deadline = self.loop.call_later(HEADER_SECONDS, self.drop)

    def _forget(self) -> None:
        self.idle.pop(self, None)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse_header(self) -> None:
        self._forget()
        self.transport.write(TOO_LARGE)
        self.transport.close()


def limited(upstream: int) -> type[Connection]:
    """Return the class of a server's connections.

    Args:
        upstream: Connections to engines at most.
    """
    return type("Limited", (Connection,), {"upstream": upstream, "idle": {}})
