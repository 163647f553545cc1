from __future__ import annotations

import subprocess
import sys
import time

import psutil
import pytest

from llmops.serve.deployment import ending
from llmops.serve.deployment.record.status import Started

PARENT = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, {handler})
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"],
                         start_new_session=True)
print(child.pid, flush=True)
time.sleep(60)
"""
POLITE = "lambda *_: (child.terminate(), child.wait(), sys.exit())"


def family(handler: str) -> tuple[psutil.Process, psutil.Process]:
    """A process, and its child in a session of its own."""
    code = PARENT.format(handler=handler)
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.stdout.close()
    parent.returncode = 0
    return psutil.Process(parent.pid), child


def test_a_gateway_ends_with_its_family() -> None:
    parent, child = family(POLITE)
    ending.stop(parent)
    assert not parent.is_running()
    assert not child.is_running()
    ending.stop(parent)


def test_one_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "STOP_SECONDS", 1.0)
    parent, child = family("signal.SIG_IGN")
    began = time.monotonic()
    ending.stop(parent)
    assert 1.0 <= time.monotonic() - began < 10
    assert not parent.is_running()
    assert not child.is_running()


def test_only_what_was_recorded_and_still_runs_is_killed() -> None:
    parent, child = family(POLITE)
    found = Started.of(child.pid)
    assert found is not None
    another = Started(parent.pid, parent.create_time() - 60)  # the number was given away
    assert ending.kill_left([another, Started(2**22 + 1, 1.0)]) == 0
    assert ending.kill_left([found]) == 1
    assert parent.is_running()
    ending.kill([parent])
    assert not parent.is_running()
