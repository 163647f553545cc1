"""The end of a deployment's processes: first a gateway with all that it started, then what is left."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

import psutil

from llmops.serve.deployment.record.status import Started
from llmops.serve.traces.pipe import FLUSH_SECONDS, MODULE

DRAIN_SECONDS = 30
"""Seconds that answers in progress may take after SIGTERM."""
STOP_SECONDS = DRAIN_SECONDS + 25.0
"""Seconds for a gateway to end after SIGTERM, its engines included."""
WRITE_SECONDS = FLUSH_SECONDS + 5.0
"""Seconds for traces to be written once their gateway has ended."""
KILL_SECONDS = 5.0


def stop(gateway: psutil.Process) -> None:
    """Terminate a gateway, and kill what is left of it and its children after ``STOP_SECONDS``.

    A process that still writes traces goes on.
    """
    with suppress(psutil.NoSuchProcess):
        left = writers(gateway.pid)
        family = [gateway, *gateway.children(recursive=True)]
        gateway.terminate()
        waited = [one for one in family if one not in left]
        _, alive = psutil.wait_procs(waited, timeout=STOP_SECONDS)
        kill(alive)


def writers(gateway: int) -> list[psutil.Process]:
    """Return the processes that write the traces of a gateway, by its number; they end by themselves."""
    found = []
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(gateway).children():
            with suppress(psutil.NoSuchProcess):
                if MODULE in child.cmdline():
                    found.append(child)
    return found


def finish(left: Sequence[psutil.Process]) -> None:
    """Wait until the traces are written: nobody may do so after a supervisor ended everything."""
    psutil.wait_procs(left, timeout=WRITE_SECONDS)


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
