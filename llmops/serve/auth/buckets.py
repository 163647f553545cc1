"""Limits of what a key may use: a bucket that is filled again at a constant rate."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

MINUTE = 60.0


class Bucket:
    """What is left of a limit per minute; a whole minute's worth can be used at once.

    Args:
        limit: Units a minute.
        clock: Returns the time in seconds.
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit, self._clock = limit, clock
        self._left, self._seen = float(limit), clock()

    def wait(self, units: float) -> int:
        """Return the seconds until this much is left, rounded up; 0 if it is now."""
        self._fill()
        missing = units - self._left
        return 0 if missing <= 0 else math.ceil(missing * MINUTE / self.limit)

    def take(self, units: float) -> None:
        """Use units; what is not there is owed, and delays the next request."""
        self._fill()
        self._left -= units

    def _fill(self) -> None:
        now = self._clock()
        self._left = min(self.limit, self._left + (now - self._seen) * self.limit / MINUTE)
        self._seen = now
