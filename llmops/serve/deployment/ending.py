"""The end of a deployment's processes: first a gateway with all that it started, then what is left."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import psutil

from llmops.serve.deployment.record.status import Started

DRAIN_SECONDS = 30
"""Seconds that answers in progress may take after SIGTERM."""
STOP_SECONDS = DRAIN_SECONDS + 25.0
"""Seconds for a gateway to end after SIGTERM, its engines included."""
KILL_SECONDS = 5.0


def stop(gateway: psutil.Process) -> None:
    """Terminate a gateway, and kill what is left of it and its children after ``STOP_SECONDS``."""
    with suppress(psutil.NoSuchProcess):
        family = [gateway, *gateway.children(recursive=True)]
        gateway.terminate()
        _, alive = psutil.wait_procs(family, timeout=STOP_SECONDS)
        kill(alive)


def kill(processes: Iterable[psutil.Process]) -> None:
    """Kill processes and their children, and wait until they have ended."""
    family = set(processes)
    for process in list(family):
        with suppress(psutil.NoSuchProcess):
            family.update(process.children(recursive=True))
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(list(family), timeout=KILL_SECONDS)


def kill_left(processes: Iterable[Started]) -> int:
    """Kill those of the recorded processes that still run, and return their number.

    Args:
        processes: Engines of a gateway that has ended; killed, it could not end them itself.
    """
    left = [process for one in processes if (process := one.alive()) is not None]
    kill(left)
    return len(left)
