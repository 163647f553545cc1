"""Answers over real connections to an engine process that breaks them in every way."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from gateways import CHAT, Running, body, running

DONE = b"[DONE]"
Scenario = Callable[[Running], Awaitable[None]]


def play(scenario: Scenario, folder: Path, *options: str, **settings: Any) -> None:
    async def run() -> None:
        async with running(folder, *options, **settings) as gateway:
            await scenario(gateway)

    asyncio.run(asyncio.wait_for(run(), 60))


def outcomes(gateway: Running) -> dict[str, float]:
    found = {}
    for line in gateway.service.metrics.text().decode().splitlines():
        if line.startswith("llmops_requests_total{"):
            labels, _, value = line.partition("} ")
            found[labels.split('outcome="')[1].split('"')[0]] = float(value)
    return found


async def until(true: Callable[[], bool], seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.01)


def test_an_answer_is_that_of_the_engine_under_the_name_of_its_version(tmp_path: Path) -> None:
    async def scenario(gateway: Running) -> None:
        status, headers, said = await gateway.ask("marker=apple", max_tokens=2)
        assert (status, headers["x-llmops-model-version"], said["model"]) == (
            200,
            "bot@v7",
            "bot@v7",
        )
        assert said["choices"][0]["message"]["content"] == " marker=apple bot@v7 bot@v7"
        assert said["usage"]["completion_tokens"] == 2

    play(scenario, tmp_path)


def test_a_stream_arrives_event_by_event(tmp_path: Path) -> None:
    async def scenario(gateway: Running) -> None:
        loop, times = asyncio.get_running_loop(), list[float]()
        asked = body("rate=20", max_tokens=8, stream=True)
        async with gateway.http.post(gateway.url + CHAT, json=asked) as response:
            assert response.headers["x-llmops-model-version"] == "bot@v7"
            assert response.content_type == "text/event-stream"
            raw = b""
            async for piece in response.content.iter_any():
                times.append(loop.time())
                raw += piece
        events = [json.loads(part[6:]) for part in raw.split(b"\n\n")[:-2]]
        assert raw.endswith(b"data: [DONE]\n\n")
        assert {event["model"] for event in events} == {"bot@v7"}
        assert all("usage" not in event for event in events), "nobody asked for it"
        assert len(times) >= 8, "held back"
        assert times[-1] - times[0] > 0.25

    play(scenario, tmp_path)


def test_token_counts_come_last_if_asked_for(tmp_path: Path) -> None:
    async def scenario(gateway: Running) -> None:
        _, events = await gateway.stream(stream_options={"include_usage": True})
        assert json.loads(events[-2])["usage"]["completion_tokens"] == 4

    play(scenario, tmp_path)


@pytest.mark.parametrize(
    ("fault", "kind", "tokens"),
    [
        ("cut", "stream_cut", 40),
        ("ended", "stream_cut", 40),
        ("stall", "stream_stalled", 20),
        ("malformed", "stream_malformed", 10),
        ("event", "stream_failed", 10),
    ],
)
def test_a_broken_stream_ends_with_an_error_and_is_counted(
    tmp_path: Path, fault: str, kind: str, tokens: int
) -> None:
    async def scenario(gateway: Running) -> None:
        headers, events = await gateway.stream(f"fault={fault}", max_tokens=60)
        assert headers["x-llmops-model-version"] == "bot@v7"
        assert DONE not in events
        *before, last = map(json.loads, events)
        assert last["error"]["code"] == kind
        text = [event["choices"][0]["delta"].get("content") for event in before]
        assert text.count(" bot@v7") == tokens, "what came before is passed on"
        assert outcomes(gateway)[kind] == 1
        status, _, _ = await gateway.ask()
        assert status == 200, "the next request is answered"

    play(scenario, tmp_path, stall=0.4)


def test_events_that_arrive_in_pieces_are_put_together(tmp_path: Path) -> None:
    async def scenario(gateway: Running) -> None:
        _, events = await gateway.stream("fault=split", max_tokens=30)
        assert events[-1] == DONE
        assert len([json.loads(event) for event in events[:-1]]) == 32

    play(scenario, tmp_path)


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("500", 502, "engine_failed"),
        ("reset", 503, "unavailable"),
        ("cut", 503, "unavailable"),
        ("malformed", 502, "engine_malformed"),
    ],
)
def test_a_failure_before_the_first_byte_has_a_status_and_no_details(
    tmp_path: Path, fault: str, status: int, code: str
) -> None:
    async def scenario(gateway: Running) -> None:
        got, headers, said = await gateway.ask(f"fault={fault}")
        assert (got, said["error"]["code"]) == (status, code)
        assert headers["x-llmops-model-version"] == "bot@v7"
        assert ("retry-after" in headers) == (status == 503)
        assert "FakeError" not in json.dumps(said)

    play(scenario, tmp_path)


def test_a_stream_that_fails_before_its_first_event_has_a_status(tmp_path: Path) -> None:
    async def scenario(gateway: Running) -> None:
        for fault, status in (("500", 502), ("reset", 503)):
            got, _, said = await gateway.ask(f"fault={fault}", stream=True)
            assert got == status
            assert said["error"]["type"] == "server_error"

    play(scenario, tmp_path)


def test_a_connection_that_fails_is_tried_once_more_before_the_first_byte(tmp_path: Path) -> None:
    async def scenario(gateway: Running) -> None:
        await gateway.ask("fault=reset")
        assert gateway.engines.started[0].stats()["requests bot@v7"] == 2 + PROBES

    play(scenario, tmp_path)


PROBES = 2 * 4 + 1
"""Requests of the probe to the version: prompts in each of two rounds, and a chat."""


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_ends_its_generation(tmp_path: Path, stream: bool) -> None:
    async def scenario(gateway: Running) -> None:
        engine = gateway.engines.started[0]
        asked = body("rate=5", max_tokens=500, stream=stream)
        leaving = asyncio.create_task(_read(gateway, asked))
        await until(lambda: gateway.service.router.in_flight == 1)
        await asyncio.sleep(0.2)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        await until(lambda: gateway.service.router.in_flight == 0, 1)
        await until(lambda: engine.stats().get("gone") == 1, 1)
        assert outcomes(gateway)["client_left"] == 1

    play(scenario, tmp_path)


async def _read(gateway: Running, asked: dict[str, Any]) -> bytes:
    async with gateway.http.post(gateway.url + CHAT, json=asked) as response:
        return await response.read()


def test_clients_that_leave_while_they_wait_free_the_queue(tmp_path: Path) -> None:
    async def scenario(gateway: Running) -> None:
        asked = body("rate=5", max_tokens=500)
        leaving = [asyncio.create_task(_read(gateway, asked)) for _ in range(17)]
        await until(lambda: gateway.service.admission.waiting == 16)
        assert (await gateway.ask())[0] == 503
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
        await until(lambda: gateway.service.admission.waiting == 0, 1)
        status, _, _ = await asyncio.wait_for(gateway.ask(), 2)
        assert status == 200

    play(scenario, tmp_path, concurrency=1, queue=16)


def test_a_client_that_does_not_read_frees_its_place(tmp_path: Path) -> None:
    async def scenario(gateway: Running) -> None:
        port = int(gateway.url.rpartition(":")[2])
        text = json.dumps(body("hi", max_tokens=200_000, stream=True))
        head = f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(text)}\r\n\r\n"
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", port))
            client.sendall((head + text).encode())
            await until(lambda: gateway.service.router.in_flight == 1)
            await until(lambda: gateway.service.router.in_flight == 0, 30)
        assert outcomes(gateway)["slow_client"] == 1

    play(scenario, tmp_path, stall=0.5, max_tokens=200_000)
