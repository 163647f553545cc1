"""Run a command that ends when its owner ends, however the owner ends.

    python guard.py FD[,FD…] FOLDER COMMAND …

The owner holds the other end of the first ``FD``, a pipe, which closes when the owner closes it or is
killed. The command inherits the others, such as a listening socket.
The command is then terminated, and after a grace period killed with all processes that it started:
vLLM's own processes keep computing when their parent is killed. Finally ``FOLDER`` is deleted.

This module is run as a file, so it uses only the standard library.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

POLL_SECONDS = 0.2
GRACE_SECONDS = 10.0
"""Seconds between terminating and killing the command."""
CHILDREN_SECONDS = 3.0
"""Seconds for the command's children to end once it has ended, and again once they are terminated.
Ending by themselves they remove their shared memory; killed ones leave it behind."""
NO_SIGNAL = 0
"""The signal number that only tests whether a process exists."""


def start(
    command: Sequence[str],
    folder: str,
    *,
    variables: Mapping[str, str],
    log: Path,
    inherited: Sequence[int] = (),
    cwd: Path | None = None,
) -> tuple[subprocess.Popen[bytes], int]:
    """Start a command under the guard, in a session of its own.

    Args:
        command: The command.
        folder: Folder to delete at its end.
        variables: Its environment.
        log: File to which its output is appended.
        inherited: File descriptors that it inherits.
        cwd: Its working folder.

    Returns:
        The guard's process, and the end of the pipe that keeps the command running.
    """
    reading, writing = os.pipe()
    fds = [reading, *inherited]
    try:
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-I", __file__, ",".join(map(str, fds)), folder, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=dict(variables),
                pass_fds=fds,
                start_new_session=True,
            )
    except BaseException:
        os.close(writing)
        shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        os.close(reading)
    return process, writing


def main(arguments: Sequence[str]) -> int:
    """Run the command until it ends or the pipe closes.

    Args:
        arguments: The file descriptors of the pipe and of what the command inherits, the folder to
            delete, and the command.

    Returns:
        The command's exit status, or 128 plus the number of the signal that ended it.
    """
    pipe, *inherited = map(int, arguments[0].split(","))
    folder, command = arguments[1], list(arguments[2:])
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # the pipe alone decides
        signal.signal(ignored, lambda *_: None)  # the command would inherit SIG_IGN
    # Its own process group, which still contains the command's children when it has ended.
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0, pass_fds=inherited)
    for fd in inherited:
        os.close(fd)
    ended = select.poll()  # select() refuses the numbers that a process with many files has
    ended.register(pipe, select.POLLIN)
    try:
        while child.poll() is None:
            if ended.poll(1000 * POLL_SECONDS):
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
    """Wait for the processes of a group to end, then terminate them, then kill them."""
    with suppress(ProcessLookupError):  # no process is left
        for number in (NO_SIGNAL, signal.SIGTERM):
            os.killpg(group, number)
            until = time.monotonic() + CHILDREN_SECONDS
            while time.monotonic() < until:
                os.killpg(group, NO_SIGNAL)
                time.sleep(POLL_SECONDS)
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
