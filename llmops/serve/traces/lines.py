"""The records that wait for the store: bounded, and read while a write is in progress."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import IO

from llmops.store.traces import BATCH

BATCH_SECONDS = 1.0
"""Seconds for which a batch waits for more records."""
RECORDS = 10_000
"""Maximum number of records that wait for the store."""
BYTES = 64 << 20
"""Maximum bytes of records that wait for the store."""


class Lines:
    """The lines of the input, read by a thread; what does not fit is dropped and counted.

    Args:
        stream: The input.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._ready = threading.Condition()
        self.ended: float | None = None
        """``time.monotonic`` of the end of the input; ``None`` before."""
        self.refused = 0
        threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def batch(self) -> list[bytes]:
        """Wait for records and return them, at most ``BATCH``; empty once the input has ended."""
        with self._ready:
            while not self._lines and self.ended is None:
                self._ready.wait()
            until = time.monotonic() + BATCH_SECONDS
            while len(self._lines) < BATCH and self.ended is None:
                if not self._ready.wait(max(0.0, until - time.monotonic())):
                    break
            count = min(len(self._lines), BATCH)
            found = [self._lines.popleft() for _ in range(count)]
            self._bytes -= sum(map(len, found))
            return found

    def wait_for_end(self, seconds: float) -> None:
        """Wait, but no longer than until the input ends."""
        until = time.monotonic() + seconds
        with self._ready:
            while self.ended is None and (left := until - time.monotonic()) > 0:
                self._ready.wait(left)

    def _read(self, stream: IO[bytes]) -> None:
        for text in stream:
            with self._ready:
                if len(self._lines) >= RECORDS or self._bytes + len(text) > BYTES:
                    self.refused += 1
                    continue
                self._lines.append(text)
                self._bytes += len(text)
                self._ready.notify()
        with self._ready:
            self.ended = time.monotonic()
            self._ready.notify()

    def __len__(self) -> int:
        return len(self._lines)
