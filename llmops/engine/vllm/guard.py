"""Runs a command that ends with whoever wants it, however that one ends.

    python guard.py FD FOLDER COMMAND …

The owner holds the other end of the pipe ``FD``. When the owner closes it, or is killed, the pipe
ends; then the command is asked to end, and after a while it is killed with all that it started:
vLLM's own processes go on computing when their parent is killed. ``FOLDER`` goes last, with what
they left there.

Run as a file, so that it needs the standard library alone.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

POLL_SECONDS = 0.2
GRACE_SECONDS = 10.0
"""From the request to end until the kill."""
CHILDREN_SECONDS = 3.0
"""For what the command started, once it has ended, and again once asked: they remove their shared
memory, which is not done by a kill."""
NOTHING = 0
"""The signal that only asks whether there is anybody."""


def main(arguments: Sequence[str]) -> int:
    """Runs the command; returns its exit status, or 128 and the signal that ended it."""
    pipe, folder, command = int(arguments[0]), arguments[1], list(arguments[2:])
    # A group of its own, which holds the command's children also after their parent is gone.
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0)
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)  # the pipe alone decides
    try:
        while child.poll() is None:
            if select.select([pipe], [], [], POLL_SECONDS)[0]:
                child.terminate()
                with suppress(subprocess.TimeoutExpired):
                    child.wait(GRACE_SECONDS)
                break
    finally:
        _end(child.pid)
        shutil.rmtree(folder, ignore_errors=True)
    status = child.wait()
    return status if status >= 0 else 128 - status


def _end(group: int) -> None:
    """Ends what the command started: of itself, then asked, then killed."""
    with suppress(ProcessLookupError):  # nobody is left
        for number in (NOTHING, signal.SIGTERM):
            os.killpg(group, number)
            until = time.monotonic() + CHILDREN_SECONDS
            while time.monotonic() < until:
                os.killpg(group, NOTHING)
                time.sleep(POLL_SECONDS)
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
