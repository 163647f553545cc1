"""The gateway as a process: SIGTERM, the end of its answers, its engines, and idle connections."""

from __future__ import annotations

import json
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import gateway_process
import httpx
import psutil
import pytest
from servers import environment

CHAT = "/v1/chat/completions"


class Gateway:
    """A gateway's process."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.folder, self.process = folder, process

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{(self.folder / 'port').read_text()}"

    @property
    def engine(self) -> psutil.Process:
        return psutil.Process(int((self.folder / "engines").read_text().split()[-1]))

    def ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", trust_env=False).is_success
        except (OSError, httpx.HTTPError):
            return False

    def reports(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in (self.folder / "reports").read_text().splitlines()]


def until(true: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def running(folder: Path, *options: str) -> Iterator[Gateway]:
    helpers = Path(gateway_process.__file__).parent
    root = Path(sys.modules["llmops"].__file__ or "").parents[1]
    env = environment(PYTHONPATH=f"{root}:{helpers}")
    command = [sys.executable, gateway_process.__file__, str(folder), *options]
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(command, env=env, stdout=out, stderr=out)
    try:
        yield Gateway(folder, process)
    finally:
        if process.poll() is None:
            family = psutil.Process(process.pid).children(recursive=True)
            process.kill()
            for child in family:
                child.kill()
        process.wait()


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with running(tmp_path) as one:
        until(lambda: one.process.poll() is not None or one.ready())
        assert one.process.poll() is None, (tmp_path / "out").read_text()
        yield one


def ask(gateway: Gateway, text: str, **fields: object) -> httpx.Response:
    asked = {"messages": [{"role": "user", "content": text}], "max_tokens": 4, **fields}
    return httpx.post(gateway.url + CHAT, json=asked, timeout=30, trust_env=False)


def test_a_gateway_finishes_its_answers_and_ends_its_engine_after_sigterm(gateway: Gateway) -> None:
    engine, answers = gateway.engine, list[httpx.Response]()
    asked = {"rate=10 stream": {"stream": True}, "rate=10 whole": {}}
    threads = [
        threading.Thread(
            target=lambda t=text, f=fields: answers.append(ask(gateway, t, max_tokens=15, **f))
        )
        for text, fields in asked.items()
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    gateway.process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    refused = ask(gateway, "late")
    assert (refused.status_code, "retry-after" in refused.headers) == (503, True)
    assert httpx.get(f"{gateway.url}/readyz", trust_env=False).status_code == 503
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [200, 200]
    assert all(answer.text.count("bot@v7") >= 15 for answer in answers)
    assert sum("[DONE]" in answer.text for answer in answers) == 1
    assert gateway.process.wait(15) == 0
    until(lambda: not engine.is_running() or engine.status() == psutil.STATUS_ZOMBIE, 5)
    assert {"phase": "stopping"} in gateway.reports()


def test_a_gateway_ends_at_once_while_its_model_is_still_being_loaded(tmp_path: Path) -> None:
    with running(tmp_path, "--slow") as one:
        until(lambda: (tmp_path / "reports").exists() and "loading" in str(one.reports()))
        refused = ask(one, "early")
        assert (refused.status_code, "retry-after" in refused.headers) == (503, True)
        assert httpx.get(f"{one.url}/livez", trust_env=False).status_code == 200
        one.process.send_signal(signal.SIGTERM)
        assert one.process.wait(10) == 0


def test_idle_connections_up_to_the_limit_of_files_stop_nobody_and_fill_no_log(
    gateway: Gateway,
) -> None:
    pid = gateway.process.pid
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (256, 256))
    port = int(gateway.url.rpartition(":")[2])
    began = time.monotonic()
    with ExitStack() as stack:
        for number in range(320):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            if number % 3 == 0:
                client.send(b"POST /v1/chat/completions HTTP/1.1\r\nhost: local")
        for _ in range(5):
            assert ask(gateway, "hi").status_code == 200
        assert time.monotonic() - began < 10
        assert psutil.Process(pid).num_fds() < 256
    log = (gateway.folder / "gateway.log").read_text() + (gateway.folder / "out").read_text()
    assert len(log) < 10_000
    assert ask(gateway, "hi").status_code == 200


def test_prompts_are_in_no_log(gateway: Gateway) -> None:
    secret = "my-secret-prompt"
    for fault in ("500", "cut", "malformed", "reset"):
        for stream in (True, False):
            ask(gateway, f"{secret} fault={fault}", stream=stream, max_tokens=60)
    httpx.post(gateway.url + CHAT, content=f'{{"messages": "{secret}', trust_env=False)
    httpx.post(f"{gateway.url}{CHAT}?q={secret}", json={"model": secret}, trust_env=False)
    with socket.create_connection(("127.0.0.1", int(gateway.url.rpartition(":")[2]))) as client:
        client.send(
            f"POST {CHAT} HTTP/1.1\r\nhost: a\r\ncontent-length: 999\r\n\r\n{secret}".encode()
        )
    time.sleep(0.3)
    log = (gateway.folder / "gateway.log").read_text()
    assert "stream_cut" in log
    assert secret not in log + (gateway.folder / "out").read_text()
    assert "Traceback" not in log + (gateway.folder / "out").read_text()
    assert all(json.loads(line)["time"] for line in log.splitlines())
    assert (gateway.folder / "gateway.log").stat().st_mode & 0o077 == 0


def test_memory_stays_bounded_when_a_crowd_is_refused(gateway: Gateway) -> None:
    process = psutil.Process(gateway.process.pid)
    statuses: list[int] = []

    def crowd() -> None:
        for _ in range(4):
            statuses.append(ask(gateway, "rate=20").status_code)

    crowd()
    before = process.memory_info().rss
    threads = [threading.Thread(target=crowd) for _ in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) <= {200, 503}
    assert statuses.count(200) >= 200
    assert process.memory_info().rss < 1.3 * before
