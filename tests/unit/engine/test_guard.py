"""The guard: whoever starts a server may die at any moment, and nothing of it is left."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from llmops.engine import guard

# Does not end when asked, and has a child that does not either.
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if sys.argv[1:] != ["child"]:
    subprocess.Popen([sys.executable, sys.argv[0], "child"])
time.sleep(60)
"""
IMPATIENT = """
import sys
from llmops.engine import guard
guard.GRACE_SECONDS, guard.CHILDREN_SECONDS = 1.0, 0.5
sys.exit(guard.main(sys.argv[1:]))
"""
OWNER = """
import os, subprocess, sys, time
reading, writing = os.pipe()
command = [sys.executable, "-c", sys.argv[1], str(reading), *sys.argv[2:]]
subprocess.Popen(command, pass_fds=[reading], start_new_session=True)
time.sleep(60)
"""


def guarded(folder: Path, *command: str) -> tuple[subprocess.Popen[bytes], int]:
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", IMPATIENT, str(reading), str(folder), *command],
        pass_fds=[reading],
    )
    os.close(reading)
    return process, writing


def family(pid: int, size: int) -> list[psutil.Process]:
    """A process and its offspring, once there are so many."""
    deadline = time.monotonic() + 20
    while True:
        found = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        if len(found) >= size:
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


@pytest.fixture
def leavings(tmp_path: Path) -> Path:
    folder = tmp_path / "leavings"
    folder.mkdir()
    (folder / "socket").touch()
    return folder


def test_the_end_of_the_command_is_the_end_of_the_guard(leavings: Path) -> None:
    process, pipe = guarded(leavings, sys.executable, "-c", "raise SystemExit(7)")
    assert process.wait(20) == 7
    assert not leavings.exists()
    os.close(pipe)


def test_a_signal_that_ended_the_command_is_reported(leavings: Path) -> None:
    suicide = f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})"
    process, pipe = guarded(leavings, sys.executable, "-c", suicide)
    assert process.wait(20) == 128 + signal.SIGKILL
    os.close(pipe)


def test_closing_the_pipe_asks_the_command_to_end(leavings: Path) -> None:
    process, pipe = guarded(leavings, sys.executable, "-c", "import time; time.sleep(60)")
    family(process.pid, 2)
    process.send_signal(signal.SIGTERM)  # of a terminal or a supervisor: the pipe alone decides
    time.sleep(2 * guard.POLL_SECONDS)
    assert process.poll() is None
    os.close(pipe)
    assert process.wait(20) == 128 + signal.SIGTERM
    assert not leavings.exists()


def test_a_killed_owner_takes_the_command_and_its_children_along(
    leavings: Path, tmp_path: Path
) -> None:
    stubborn = tmp_path / "stubborn.py"
    stubborn.write_text(STUBBORN)
    command = [IMPATIENT, str(leavings), sys.executable, str(stubborn)]
    owner = subprocess.Popen([sys.executable, "-c", OWNER, *command])
    processes = family(owner.pid, 4)
    owner.kill()
    owner.wait()
    _, alive = psutil.wait_procs(processes, timeout=20)
    assert not alive
    assert not leavings.exists()


def test_children_do_not_outlive_a_command_that_was_killed(leavings: Path, tmp_path: Path) -> None:
    stubborn = tmp_path / "stubborn.py"
    stubborn.write_text(STUBBORN)
    process, pipe = guarded(leavings, sys.executable, str(stubborn))
    _, command, child = family(process.pid, 3)
    command.kill()
    assert process.wait(20) == 128 + signal.SIGKILL
    psutil.wait_procs([child], timeout=10)
    assert not child.is_running()
    os.close(pipe)


def test_the_command_inherits_the_sockets_that_are_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        reading, writing = os.pipe()
        fd = listening.fileno()
        command = [sys.executable, "-c", "import os, sys; os.fstat(int(sys.argv[1]))"]
        for inherited, status in ((f"{reading},{fd}", 0), (str(reading), 1)):
            folder = tmp_path / "folder"
            folder.mkdir()
            guarded_command = [sys.executable, "-c", IMPATIENT, inherited, str(folder), *command]
            done = subprocess.run(
                [*guarded_command, str(fd)], pass_fds=[reading, fd], check=False, timeout=60
            )
            assert done.returncode == status
        os.close(reading)
        os.close(writing)
