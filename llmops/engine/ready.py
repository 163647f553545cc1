"""Wait until an engine's process answers, and say now and then that it does not yet."""

from __future__ import annotations

import time
from collections.abc import Callable

from llmops.progress import say

SAY_EVERY_SECONDS = 10.0


def wait(
    is_ready: Callable[[], bool],
    check: Callable[[], None],
    failure: Callable[[str], Exception],
    *,
    name: str,
    seconds: float,
    pause: float,
) -> float:
    """Wait until a process is ready; return the seconds that it took.

    Args:
        is_ready: Returns whether it is.
        check: Raises if the process has ended.
        failure: Makes the error for a process that is not ready in time.
        name: Name of the process, for what is said.
        seconds: Maximum seconds.
        pause: Seconds between two looks.

    Raises:
        Exception: What ``check`` raises, or what ``failure`` made.
    """
    began = reported = time.monotonic()
    while not is_ready():
        check()
        now = time.monotonic()
        if now - began > seconds:
            raise failure(f"not ready after {seconds:.0f} s")
        if now - reported >= SAY_EVERY_SECONDS:
            reported = now
            say(f"{name}: still starting ({now - began:.0f} s)")
        time.sleep(pause)
    return time.monotonic() - began
