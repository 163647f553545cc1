from __future__ import annotations

import threading
import time

import pytest

from llmops.engine.openai.endpoint import remote_model
from llmops.engine.openai.parallel import concurrently
from llmops.engine.requests import Request
from llmops.records import Answer, Sampling

SIDE = remote_model("openai:http://127.0.0.1:9/v1#bot")
REQUESTS = [Request(SIDE, f"{i}", Sampling(), i) for i in range(12)]


def echo(request: Request) -> Answer:
    return Answer(str(request.messages), 1, 1, "stop")


def test_answers_come_as_they_are_done_no_more_than_so_many_at_once() -> None:
    under_way, most, lock = 0, 0, threading.Lock()

    def slow(request: Request) -> Answer:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        time.sleep(0.2 if request.key == 0 else 0.02)
        with lock:
            under_way -= 1
        return echo(request)

    results = list(concurrently(REQUESTS, slow, 3))
    assert {key: answer.text for key, answer in results} == {i: f"{i}" for i in range(12)}
    assert results[0][0] != 0, "the slowest does not hold up the others"
    assert most == 3


def test_once_there_are_enough_no_further_request_begins() -> None:
    begun: list[object] = []
    enough = threading.Event()

    def noted(request: Request) -> Answer:
        begun.append(request.key)
        time.sleep(0.02)
        return echo(request)

    given = []
    for key, _ in concurrently(REQUESTS, noted, 2, enough=enough):
        given.append(key)
        enough.set()
    assert sorted(map(str, given)) == sorted(map(str, begun)), "what had begun is not lost"
    assert len(begun) < 6


def test_what_a_request_raises_ends_all() -> None:
    def fails(request: Request) -> Answer:
        if request.key == 3:
            raise RuntimeError("no such model")
        return echo(request)

    with pytest.raises(RuntimeError, match="no such model"):
        list(concurrently(REQUESTS, fails, 1))
