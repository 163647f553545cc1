"""The gateway as a process: SIGTERM, the end of its answers, its engines, its log; `test_attacks` is unfriendly."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from gateway_runs import CHAT, Gateway, ask, running, serving, until


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with serving(tmp_path) as one:
        yield one


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
