"""Requests in parallel: each result at once, no more requests in flight than allowed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing

import pytest
from chat_servers import CHOICE, replying

from llmops.engine.openai.client import ChatClient
from llmops.engine.openai.endpoint import Endpoint, remote_model
from llmops.engine.openai.engine import chat_of
from llmops.engine.openai.parallel import concurrently
from llmops.engine.requests import Request
from llmops.records import Answer, Sampling

SIDE = remote_model("openai:http://127.0.0.1:9/v1#bot")
SECONDS = 20.0


def requests(number: int) -> list[Request]:
    return [
        Request(SIDE, [{"role": "user", "content": f"{i}"}], Sampling(max_tokens=4), f"key {i}")
        for i in range(number)
    ]


def answer_to(request: Request) -> Answer:
    return Answer(f"to {request.key}", 1, 1, "stop")


def until(condition: Callable[[], bool]) -> None:
    """Wait until something holds; fail if it never does."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_each_key_comes_back_with_the_answer_of_its_request() -> None:
    def says(prompt: str) -> tuple[int, object]:
        return 200, {"choices": [{**CHOICE, "message": {"content": f"to key {prompt}"}}]}

    with replying(says) as url:
        client = ChatClient(Endpoint(url, "bot"), key="none", timeout=SECONDS, retries=0)
        with closing(client):
            answers = dict(
                concurrently(requests(20), lambda r: client.answer(chat_of(r), r.sampling), 4)
            )
    assert {key: answer.text for key, answer in answers.items()} == {
        f"key {i}": f"to key {i}" for i in range(20)
    }


def test_a_slow_request_does_not_hold_back_the_others() -> None:
    slow = threading.Event()

    def ask(request: Request) -> Answer:
        if request.key == "key 0":
            assert slow.wait(SECONDS)
        return answer_to(request)

    results = concurrently(requests(3), ask, 2)
    first = {next(results)[0], next(results)[0]}
    assert first == {"key 1", "key 2"}
    slow.set()
    assert [key for key, _ in results] == ["key 0"]


@pytest.mark.parametrize("workers", [1, 3])
def test_no_more_requests_are_in_flight_than_allowed(workers: int) -> None:
    lock, in_flight, most = threading.Lock(), 0, 0

    def ask(request: Request) -> Answer:
        nonlocal in_flight, most
        with lock:
            in_flight += 1
            most = max(most, in_flight)
        time.sleep(0.01)
        with lock:
            in_flight -= 1
        return answer_to(request)

    assert len(list(concurrently(requests(12), ask, workers))) == 12
    assert most == workers


def test_an_error_ends_everything() -> None:
    begun: list[object] = []

    def ask(request: Request) -> Answer:
        begun.append(request.key)
        if request.key == "key 1":
            raise ValueError("no such model")
        time.sleep(0.02)
        return answer_to(request)

    with pytest.raises(ValueError, match="no such model"):
        list(concurrently(requests(200), ask, 2))
    time.sleep(0.1)
    assert len(begun) < 200
    number = len(begun)
    time.sleep(0.1)
    assert len(begun) == number, "no request begins after the error"


def test_once_enough_no_further_request_begins_and_those_in_flight_are_yielded() -> None:
    enough, begun = threading.Event(), []
    last = threading.Event()

    def ask(request: Request) -> Answer:
        begun.append(request.key)
        if request.key == "key 1":
            assert last.wait(SECONDS)
        return answer_to(request)

    keys = []
    for key, _ in concurrently(requests(50), ask, 2, enough=enough):
        keys.append(key)
        enough.set()
        last.set()
    assert set(keys) == set(begun)
    assert "key 1" in keys
    assert len(begun) < 50


def test_whoever_stops_does_not_wait_for_requests_in_flight() -> None:
    silent, begun, ended = threading.Event(), [], []

    def ask(request: Request) -> Answer:
        begun.append(request.key)
        if request.key != "key 0":
            assert silent.wait(SECONDS)
        ended.append(request.key)
        return answer_to(request)

    with closing(concurrently(requests(10), ask, 2)) as results:
        next(results)
        until(lambda: len(begun) == 3)
    assert ended == ["key 0"], "closed while two requests are in flight"
    silent.set()
    until(lambda: len(ended) == 3)
    time.sleep(0.05)
    assert len(begun) == 3, "no further request begins"
