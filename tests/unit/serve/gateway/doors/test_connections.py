"""Connections that idle, dawdle, and are too many, against a real gateway."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from gateways import CHAT, Running, running

from llmops.serve.gateway.doors import connections

Scenario = Callable[[Running], Awaitable[None]]


def play(scenario: Scenario, folder: Path, **settings: Any) -> None:
    async def run() -> None:
        async with running(folder, **settings) as gateway:
            await scenario(gateway)

    asyncio.run(asyncio.wait_for(run(), 60))


def connect(gateway: Running) -> socket.socket:
    port = int(gateway.url.rpartition(":")[2])
    client = socket.create_connection(("127.0.0.1", port))
    client.setblocking(False)
    return client


async def answer(client: socket.socket, seconds: float = 5) -> bytes:
    """What the server sends until it closes the connection."""
    loop, got = asyncio.get_running_loop(), b""
    async with asyncio.timeout(seconds):
        while True:
            try:
                piece = await loop.sock_recv(client, 65536)
            except ConnectionError:
                return got
            if not piece:
                return got
            got += piece


@pytest.fixture
def few_files() -> Iterator[int]:
    """Most files of this process: a few hundred more than it has open."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 400 + max(map(int, os.listdir("/proc/self/fd")))
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, before[1]))
    yield most
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("few_files")
def test_at_the_limit_an_idle_connection_makes_room_for_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MOST", 50)

    async def scenario(gateway: Running) -> None:
        with ExitStack() as stack:
            idle = [stack.enter_context(connect(gateway)) for _ in range(120)]
            for number, client in enumerate(idle):
                half = b"" if number % 3 else f"POST {CHAT} HTTP/1.1\r\nhost".encode()
                client.send(half) if half else None
            await asyncio.sleep(0.2)
            began = time.monotonic()
            for _ in range(5):
                assert (await gateway.ask())[0] == 200
            assert time.monotonic() - began < 3
            assert await answer(idle[0]) == b"", "the longest idle was closed"

    play(scenario, tmp_path)


def test_a_header_that_does_not_come_closes_the_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.3)

    async def scenario(gateway: Running) -> None:
        with connect(gateway) as silent, connect(gateway) as half, connect(gateway) as kept:
            half.send(b"GET /livez HTTP/1.1\r\nhost: local")
            kept.send(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n")
            assert await answer(silent) == b""
            assert await answer(half) == b""
            await asyncio.sleep(0.4)  # between requests there is more time than for a header
            kept.send(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\nGET /livez HTTP/1.1\r\nho")
            assert (await answer(kept)).count(b"200 OK") == 2

    play(scenario, tmp_path)


def test_a_connection_without_requests_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.3)

    async def scenario(gateway: Running) -> None:
        with connect(gateway) as kept:
            kept.send(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n")
            began = time.monotonic()
            assert b"200 OK" in await answer(kept)
            assert time.monotonic() - began < 3

    play(scenario, tmp_path)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /livez HTTP/1.1\r\nhost: localhost\r\na: " + b"b" * 70_000, b"431"),
        (b"GET /livez HTTP/1.1\r\nhost: localhost\r\na: " + b"b" * 70_000 + b"\r\n\r\n", b"4"),
        (b"GET /" + b"b" * 70_000 + b" HTTP/1.1\r\nhost: localhost\r\n\r\n", b"4"),
        (b"nonsense\r\n\r\n", b"400"),
        (
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4\r\n"
            b"transfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /livez HTTP/1.1\r\nhost: a\r\n\r\n",
            b"400",
        ),
        (
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
            b"transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n",
            b"400",
        ),
    ],
)
def test_what_is_no_request_of_ours_is_refused_once(
    tmp_path: Path, sent: bytes, status: bytes
) -> None:
    async def scenario(gateway: Running) -> None:
        with connect(gateway) as client:
            await asyncio.get_running_loop().sock_sendall(client, sent)
            got = await answer(client)
            assert got.startswith(b"HTTP/1.1 " + status)
            assert got.count(b"HTTP/1.1") == 1
        assert (await gateway.ask())[0] == 200

    play(scenario, tmp_path)


def test_requests_that_follow_each_other_at_once_are_answered_in_order(tmp_path: Path) -> None:
    async def scenario(gateway: Running) -> None:
        one = b"GET /v1/models/bot HTTP/1.1\r\nhost: localhost\r\n\r\n"
        last = b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        with connect(gateway) as client:
            client.send(one * 3 + last)
            got = await answer(client)
            assert got.count(b"200 OK") == 4
            assert got.endswith(b'{"status": "live"}')

    play(scenario, tmp_path)


def test_the_number_of_clients_leaves_files_for_engines_and_logs(few_files: int) -> None:
    assert connections.limit(32) == few_files - connections.SPARE_FILES - 32
    assert connections.limit(10_000) == few_files - connections.SPARE_FILES - few_files // 4
    connections.raise_file_limit()
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > few_files
    assert connections.limit(32) <= connections.MOST


def test_servers_do_not_share_their_connections() -> None:
    one, other = connections.limited(1), connections.limited(2)
    assert one.idle is not other.idle
    assert (one.upstream, other.upstream) == (1, 2)
