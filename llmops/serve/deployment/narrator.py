"""Progress of a gateway's work, read from the state and printed for the person who waits."""

from __future__ import annotations

import time

from llmops.progress import say
from llmops.serve.deployment import state

LOOK_SECONDS = 0.5
"""Seconds between two looks at the state."""
REPEAT_SECONDS = 10.0
"""Seconds after which the same work is mentioned again."""


class Narrator:
    """Print what a gateway is doing when it changes, and again if it takes long.

    Args:
        name: Name of the deployment.
        work: The work in one word, for a gateway that does not say what it is doing.
    """

    def __init__(self, name: str, work: str = "starting") -> None:
        self._name, self._work, self._phase = name, work, ""
        self._began = self._looked = self._printed = time.monotonic()

    def look(self) -> None:
        """Print a line if there is something to say; call it often."""
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        record = state.find_record(self._name)
        phase = record.status.phase if record is not None else ""
        if phase and phase != self._phase:
            self._phase, self._printed = phase, now
            say(f"{self._name}: {phase}")
        elif now - self._printed >= REPEAT_SECONDS:
            self._printed = now
            say(f"{self._name}: still {phase or self._work} ({now - self._began:.0f} s)")
