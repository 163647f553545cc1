"""What strangers may do to a gateway: each row is an attack, and what must come of it.

The gateway is a process of its own; what an attack does to a model is tested where models are.
"""

from __future__ import annotations

import json
import resource
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from gateway_runs import CHAT, Gateway, ask, serving, until

KEY = "Authorization: Bearer one"
HI = json.dumps({"messages": [{"role": "user", "content": "hi"}], "max_tokens": 2})


@pytest.fixture(scope="module")
def keyless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with serving(tmp_path_factory.mktemp("keyless"), max_tokens=100) as one:
        yield one


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with serving(tmp_path_factory.mktemp("keyed"), keys=["one", "other"]) as one:
        yield one


def post(*headers: str, body: str = HI, host: str = "localhost", length: bool = True) -> bytes:
    """A chat request as it is on the wire."""
    head = [f"POST {CHAT} HTTP/1.1", f"Host: {host}", *headers]
    head += [f"Content-Length: {len(body.encode())}"] if length else []
    return "\r\n".join([*head, "", body]).encode()


def get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


def chat(**fields: Any) -> str:
    return json.dumps({**json.loads(HI), **fields})


CHUNKED = "Transfer-Encoding: chunked"
TEXT = "Content-Type: text/plain"
EVIL = "Origin: https://evil.example"
SMUGGLED = "0\r\n\r\nGET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
KEYLESS: dict[str, tuple[bytes, int]] = {
    "length and chunks": (post(CHUNKED, body=SMUGGLED), 400),
    "chunks and a length": (post("Content-Length: 4", CHUNKED, body=SMUGGLED, length=False), 400),
    "two lengths": (post("Content-Length: 4"), 400),
    "a negative length": (post("Content-Length: -1", length=False), 400),
    "a length of 10^12": (post(f"Content-Length: {10**12}", length=False), 413),
    "chunks of 2 MiB": (post(CHUNKED, body=f"200000\r\n{'x' * (2 << 20)}", length=False), 413),
    "a prompt of 1 MB": (post(body=chat(prompt="x" * (1 << 20))), 413),
    "a header of 1 MB": (get("/livez", f"A: {'b' * (1 << 20)}"), 4),
    "a NUL in a header": (get("/livez", "A: b\0c"), 400),
    "HTTP/0.9": (b"GET /livez\r\n\r\n", 400),
    "no host": (b"GET /v1/models HTTP/1.1\r\n\r\n", 421),
    "another host": (post(host="evil.example"), 421),
    "another host, models": (get("/v1/models").replace(b"localhost", b"evil.example:80"), 421),
    "a page of another machine": (post(EVIL, TEXT), 403),
    "a page without an origin": (post("Origin: null", TEXT), 403),
    "the form of another page": (post(EVIL, "Sec-Fetch-Site: cross-site", TEXT), 403),
    "an answer without end": (post(body=chat(max_tokens=101)), 400),
    "an answer without end, by its newer name": (post(body=chat(max_completion_tokens=1e9)), 400),
    "129 answers": (post(body=chat(n=129)), 400),
    "200,000 brackets": (post(body="[" * 200_000), 400),
    "half a surrogate": (post(body=r'{"messages": [{"role": "user", "content": "\ud800"}]}'), 400),
    "a path of the engine": (post().replace(CHAT.encode(), b"/v1/load_lora_adapter"), 404),
    "a path of the engine by dots": (get("/v1/../health"), 404),
}
KEYED: dict[str, tuple[bytes, int]] = {
    "no key": (post(), 401),
    "another scheme": (post("Authorization: Basic b25lOm9uZQ=="), 401),
    "another header": (post("X-Api-Key: one"), 401),
    "two keys": (post(KEY, "Authorization: Bearer other"), 400),
    "a key and another scheme": (post("Authorization: Basic b25l", KEY), 400),
    "the same key twice": (post(KEY, KEY), 400),
    "a key of 60,000 characters": (post(f"Authorization: Bearer {'x' * 60_000}"), 401),
    "a key with a tab": (post("Authorization: Bearer\tone"), 401),
    "metrics without a key": (get("/metrics"), 401),
}


@contextmanager
def connected(gateway: Gateway, sent: bytes = b"") -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as client:
        client.sendall(sent)
        yield client


def said(client: socket.socket) -> bytes:
    """What is sent until the end of the connection, or of a second."""
    client.settimeout(1)
    got = b""
    try:
        while piece := client.recv(65536):
            got += piece
    except (TimeoutError, ConnectionError):
        pass
    return got


def check_refused(gateway: Gateway, sent: bytes, status: int) -> None:
    got = b""
    with connected(gateway) as client:
        with suppress(ConnectionError):  # it answered before it had read everything
            client.sendall(sent)
        got = said(client)
    assert got.startswith(f"HTTP/1.1 {status}".encode()), got[:200]
    assert got.count(b"HTTP/1.1") == 1, "one request, one answer"
    assert "Traceback" not in gateway.log


@pytest.mark.parametrize("attack", KEYLESS)
def test_without_a_key(keyless: Gateway, attack: str) -> None:
    check_refused(keyless, *KEYLESS[attack])
    assert ask(keyless, "hi").status_code == 200


@pytest.mark.parametrize("attack", KEYED)
def test_with_a_key(keyed: Gateway, attack: str) -> None:
    check_refused(keyed, *KEYED[attack])
    assert b"200 OK" in said_after(keyed, post(KEY))


def said_after(gateway: Gateway, sent: bytes) -> bytes:
    with connected(gateway, sent) as client:
        return said(client)


def test_connections_that_idle_or_stop_half_way_are_closed(tmp_path: Path) -> None:
    half = [b"", b"POST /v1/chat/completions HTTP/1.1\r\nhost: local", post()[:-20]]
    with serving(tmp_path, seconds=1.0) as gateway, ExitStack() as stack:
        clients = [stack.enter_context(connected(gateway, half[i % 3])) for i in range(99)]
        assert ask(gateway, "hi").status_code == 200
        time.sleep(1.5)
        answers = [said(client) for client in clients]
        assert all(answer == b"" or b"408" in answer for answer in answers)
        assert sum(b"408" in answer for answer in answers) == 33
        process = psutil.Process(gateway.process.pid)
        until(lambda: len(process.net_connections()) < 20, 5)
        assert len(gateway.log) < 10_000


def test_idle_connections_up_to_the_limit_of_files_stop_nobody_and_fill_no_log(
    tmp_path: Path,
) -> None:
    with serving(tmp_path) as gateway, ExitStack() as stack:
        resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE, (256, 256))
        began = time.monotonic()
        half = b"POST /v1/chat/completions HTTP/1.1\r\nhost: local"
        for number in range(320):
            stack.enter_context(connected(gateway, b"" if number % 3 else half))
        for _ in range(5):
            assert ask(gateway, "hi").status_code == 200
        assert time.monotonic() - began < 10
        assert psutil.Process(gateway.process.pid).num_fds() < 256
        assert len(gateway.log) < 10_000


def test_a_body_that_breaks_off_leaves_no_line(keyless: Gateway) -> None:
    before = keyless.log
    for end in (0, 1, -1):
        with connected(keyless, post()[: -20 + end]):
            pass
    time.sleep(0.3)
    assert keyless.log == before
    assert ask(keyless, "hi").status_code == 200


def test_one_client_does_not_keep_the_others_out(tmp_path: Path) -> None:
    """One key sends ten times what the queue holds; the other is never refused."""
    statuses: dict[str, list[int]] = {"one": [], "other": []}

    def send(gateway: Gateway, key: str, text: str) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        asked = {"messages": [{"role": "user", "content": text}], "max_tokens": 4}
        answer = httpx.post(
            gateway.url + CHAT, json=asked, headers=headers, timeout=60, trust_env=False
        )
        statuses[key].append(answer.status_code)

    settings: dict[str, Any] = {"keys": ["one", "other"], "concurrency": 2, "queue": 8}
    with serving(tmp_path, **settings) as gateway, ThreadPoolExecutor(90) as pool:
        for _ in range(80):
            pool.submit(send, gateway, "one", "delay=0.5")
        time.sleep(1)
        for future in [pool.submit(send, gateway, "other", "delay=0.1") for _ in range(3)]:
            future.result()
    assert statuses["other"] == [200] * 3
    assert 503 in statuses["one"]


@pytest.mark.parametrize("stream", [True, False])
def test_clients_that_leave_free_their_places(tmp_path: Path, stream: bool) -> None:
    with serving(tmp_path, concurrency=4, queue=13) as gateway:
        body = chat(messages=[{"role": "user", "content": "rate=5"}], max_tokens=500, stream=stream)
        with ExitStack() as stack:
            for _ in range(17):
                stack.enter_context(connected(gateway, post(body=body)))
            until(lambda: ask(gateway, "hi").status_code == 503, 5)
        began = time.monotonic()
        until(lambda: ask(gateway, "hi").status_code == 200, 5)
        assert time.monotonic() - began < 3
        until(lambda: b'llmops_in_flight{version="bot@v7"} 0.0' in metrics(gateway), 5)


def metrics(gateway: Gateway) -> bytes:
    return httpx.get(f"{gateway.url}/metrics", trust_env=False).content


@pytest.mark.parametrize("stream", [True, False])
def test_who_has_only_closed_the_sending_side_gets_the_answer(
    keyless: Gateway, stream: bool
) -> None:
    body = chat(messages=[{"role": "user", "content": "delay=1.2"}], max_tokens=3, stream=stream)
    with connected(keyless, post(body=body)) as client:
        client.shutdown(socket.SHUT_WR)
        client.settimeout(10)
        got = b""
        while piece := client.recv(65536):
            got += piece
    interim, _, rest = got.partition(b"HTTP/1.1 200 OK")
    assert set(interim.split(b"\r\n\r\n")) == {b"HTTP/1.1 100 Continue", b""}
    assert rest.count(b"bot@v7") >= 3
    assert rest.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n" if stream else b"}")


def test_a_reader_that_never_reads_holds_up_nobody(keyless: Gateway) -> None:
    body = chat(max_tokens=100, stream=True)
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(connected(keyless, post(body=body)))
        done: list[int] = []
        asking = threading.Thread(target=lambda: done.append(ask(keyless, "hi").status_code))
        asking.start()
        asking.join(5)
        assert done == [200]
