"""The limited process is started when it is needed, and replaced when it ended."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from llmops.errors import LlmopsError
from llmops.models.foreign.process import LimitedProcess

JOB = {"kind": "match", "patterns": ["a+"], "names": ["aa", "b"]}


def test_a_job_is_done_and_the_process_is_kept() -> None:
    limited = LimitedProcess()
    assert limited.do("it", JOB) == {"matched": 1}
    first = limited._process
    assert limited.do("it", JOB) == {"matched": 1}
    assert first is limited._process is not None
    first.kill()
    first.wait()
    assert limited.do("it", JOB) == {"matched": 1}, "another one is started"


def test_a_forked_process_starts_its_own() -> None:
    limited = LimitedProcess()
    limited.do("it", JOB)
    pid = limited._process.pid if limited._process else 0
    limited._owner += 1  # as in a copy that was forked off
    limited.do("it", JOB)
    assert limited._process is not None
    assert limited._process.pid != pid


def test_no_process_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    with pytest.raises(LlmopsError, match="no process can be started"):
        LimitedProcess().do("it", JOB)


def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    script = (
        "import os, sys\n"
        "from llmops.models.foreign.process import LIMITED\n"
        f"LIMITED.do('it', {JOB!r})\n"
        "print(LIMITED._process.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    (pid,) = done.stdout.split()
    with suppress(psutil.NoSuchProcess):
        psutil.Process(int(pid)).wait(30)
    assert not psutil.pid_exists(int(pid))
    assert os.getpid() != int(pid)
