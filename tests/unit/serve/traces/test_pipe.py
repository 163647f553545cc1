"""The queue never blocks, and counts what is lost, whatever happens to the process behind it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from exchanges import line_of, traces_of, wait_until

from llmops.serve.traces import pipe as module
from llmops.serve.traces.pipe import Pipe, Setup, line
from llmops.store.traces import new_id

SETUP = Setup("bot", "bot-serving", content=True, redact=None)


def put(pipe: Pipe, count: int) -> None:
    for _ in range(count):
        pipe.put(line_of(trace_id=new_id()), 100)


def test_all_that_was_queued_is_written_before_the_end(store: str, tmp_path: Path) -> None:
    pipe = Pipe(SETUP, tmp_path)
    assert pipe.started.wait(100)
    put(pipe, 250)
    pipe.close()
    wait_until(lambda: pipe.exported == 250)
    assert len(traces_of()) == 250
    assert pipe.dropped == 0


def test_the_end_of_a_deployment_does_not_wait_for_its_traces_and_none_is_lost(
    store: str, tmp_path: Path
) -> None:
    pipe = Pipe(SETUP, tmp_path)
    assert pipe.started.wait(100)
    process = psutil.Process(pipe.pid)
    put(pipe, 100)
    wait_until(lambda: pipe.exported)  # it reads
    process.suspend()  # as if its store were slow
    put(pipe, 50)
    began = time.monotonic()
    pipe.close()
    assert time.monotonic() - began < module.LEAVE_SECONDS + 1
    process.resume()
    wait_until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)
    assert len(traces_of()) == 150


def test_the_traces_of_a_deployment_that_ends_at_once_are_written(
    store: str, tmp_path: Path
) -> None:
    pipe = Pipe(SETUP, tmp_path)
    put(pipe, 3)  # the process is still being started
    pipe.close()
    wait_until(lambda: len(traces_of()) == 3)


def test_a_full_queue_drops_and_counts_and_does_not_block(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RECORDS", 10)
    pipe = Pipe(SETUP, tmp_path)
    wait_until(lambda: pipe.pid)
    psutil.Process(pipe.pid).suspend()
    began = time.perf_counter()
    big = line_of(answer="x" * 200_000)  # more than a pipe holds
    for _ in range(100):
        pipe.put(big, 200_000)
    assert time.perf_counter() - began < 1.0
    assert 85 <= pipe.dropped <= 91
    psutil.Process(pipe.pid).resume()
    wait_until(lambda: pipe.exported + pipe.dropped == 100)
    pipe.close()
    assert pipe.exported + pipe.dropped == 100


def test_bytes_count_too(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BYTES", 1000)
    pipe = Pipe(SETUP, tmp_path)
    pipe.put(line_of(), 1001)
    assert pipe.dropped == 1
    pipe.close()


def test_a_killed_process_comes_back_and_its_losses_are_counted(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RESTART_SECONDS", (0.1, 5.0))
    pipe = Pipe(SETUP, tmp_path)
    put(pipe, 3)
    wait_until(lambda: pipe.exported == 3)
    first = pipe.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: pipe.pid not in (None, first))
    put(pipe, 4)
    wait_until(lambda: pipe.exported + pipe.dropped == 7)
    pipe.close()
    assert pipe.exported + pipe.dropped == 7
    assert pipe.exported >= 6, "one may be on its way when the process dies"
    assert len(traces_of()) == pipe.exported


def test_signals_to_the_group_do_not_end_it_before_its_input(store: str, tmp_path: Path) -> None:
    pipe = Pipe(SETUP, tmp_path)
    put(pipe, 1)
    wait_until(lambda: pipe.exported == 1)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(pipe.pid or 0, number)
    put(pipe, 1)
    wait_until(lambda: pipe.exported == 2)
    pipe.close()
    assert pipe.dropped == 0


GATEWAY = """
import json, pathlib, sys, time
from llmops.serve.traces.pipe import Pipe, Setup
pipe = Pipe(Setup("bot", "bot-serving", content=True, redact=None), pathlib.Path(sys.argv[1]))
pipe.put(json.loads(sys.argv[2]), 100)
pipe.started.wait()
print(pipe.pid, flush=True)
time.sleep(600)
"""


def test_the_process_writes_what_it_has_and_ends_when_the_gateway_is_killed(
    store: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", GATEWAY, str(tmp_path), json.dumps(line_of())]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as gateway:
        assert gateway.stdout is not None
        process = psutil.Process(int(gateway.stdout.readline()))
        gateway.kill()
    wait_until(lambda: not process.is_running())
    assert len(traces_of()) == 1
    assert (tmp_path / "traces.log").stat().st_mode & 0o777 == 0o600


def test_a_record_that_no_json_can_hold_is_counted_and_no_other_is_lost(
    store: str, tmp_path: Path
) -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    pipe = Pipe(SETUP, tmp_path)
    pipe.put(line_of(body=deep), 0)
    put(pipe, 1)
    wait_until(lambda: pipe.exported + pipe.dropped == 2)
    assert (pipe.exported, pipe.dropped) == (1, 1)
    pipe.close()


def test_a_line_is_one_line_whatever_is_in_it() -> None:
    made = line({"answer": 'a\n"b" \xff'.encode("latin-1"), "events": [b"{}"]})
    assert made.count(b"\n") == 1
    assert json.loads(made) == {"answer": 'a\n"b" \ufffd', "events": ["{}"]}
