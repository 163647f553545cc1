"""The engine over HTTP, against a real server of ours: nothing is lost, whatever happens."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import answering
from sides import side_of

from llmops.engine.http import Endpoint, HttpEngine, parse_endpoint
from llmops.engine.local import LocalEngine
from llmops.errors import UsageError
from llmops.records import Answer, ModelFiles, Sampling
from llmops.serve.app import create_app
from llmops.serve.generation import QueuedEngine

SAMPLING = Sampling(max_tokens=8)
CONVERSATIONS = [[{"role": "user", "content": f"Word {i}."}] for i in range(30)]


@pytest.fixture(scope="module")
def side(folder: Path, adapter: Path) -> ModelFiles:
    return side_of(folder, adapter)


@pytest.fixture(scope="module")
def local(side: ModelFiles) -> LocalEngine:
    return LocalEngine([side])


@pytest.fixture(scope="module")
def url(local: LocalEngine, side: ModelFiles) -> Iterator[str]:
    app = create_app(QueuedEngine(local, side), deployment="bot", model="bot/3", key="secret")
    with answering(app) as address:
        yield f"{address}/v1"


def test_every_answer_comes_although_the_server_s_queue_is_full(
    url: str, local: LocalEngine, side: ModelFiles
) -> None:
    told: dict[int, Answer] = {}
    engine = HttpEngine(Endpoint(url, "bot"), key="secret", concurrency=24)
    answers = engine.generate(CONVERSATIONS, SAMPLING, on_answer=told.__setitem__)
    assert answers == local.generate(side, CONVERSATIONS, SAMPLING)
    assert [told[i] for i in range(len(answers))] == answers


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    engine = HttpEngine(Endpoint(url, "bot"), key="secret", retries=0)
    assert engine.generate(CONVERSATIONS[:1], SAMPLING)[0].error is None


def test_sampling_is_passed_on(url: str, local: LocalEngine, side: ModelFiles) -> None:
    engine = HttpEngine(Endpoint(url, "bot"), key="secret")
    sampling = Sampling(max_tokens=12, temperature=1.2, top_p=0.9, seed=4, stop=("e",))
    answers = engine.generate(CONVERSATIONS[:3], sampling)
    assert answers == local.generate(side, CONVERSATIONS[:3], sampling)


def test_a_prompt_that_is_refused_is_an_answer_that_says_why(url: str) -> None:
    long = [{"role": "user", "content": "word " * 600}]
    engine = HttpEngine(Endpoint(url, "bot"), key="secret")
    refused, fine = engine.generate([long, CONVERSATIONS[0]], SAMPLING)
    assert (refused.text, refused.finish_reason) == ("", "error")
    assert "context is" in str(refused.error)
    assert fine.error is None


def test_a_server_that_is_not_there_fails_each_prompt_in_words() -> None:
    engine = HttpEngine(Endpoint("http://127.0.0.1:9/v1", "bot"), retries=1)
    answers = engine.generate(CONVERSATIONS[:2], SAMPLING)
    assert [answer.error for answer in answers] == ["Connection error."] * 2


def test_a_server_that_never_answers_runs_into_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        engine = HttpEngine(Endpoint(place, "bot"), timeout=0.3, retries=0)
        (answer,) = engine.generate(CONVERSATIONS[:1], SAMPLING)
    assert answer.error == "Request timed out."


def test_what_no_retry_can_mend_is_the_user_s_mistake(url: str) -> None:
    with pytest.raises(UsageError, match=r"refuses the key \(401\)") as told:
        HttpEngine(Endpoint(url, "bot"), key="wrong").generate(CONVERSATIONS, SAMPLING)
    assert "wrong" not in str(told.value)
    with pytest.raises(UsageError, match="knows no model 'other'"):
        HttpEngine(Endpoint(url, "other"), key="secret").generate(CONVERSATIONS[:1], SAMPLING)


def test_references() -> None:
    found = parse_endpoint("openai:http://127.0.0.1:8000/v1/#owner/name:1")
    assert found == Endpoint("http://127.0.0.1:8000/v1", "owner/name:1")
    for text in ("openai:bot", "openai:http://x/v1", "http://x/v1#bot", "openai:file:///x#y"):
        with pytest.raises(UsageError, match="expected openai:URL#MODEL"):
            parse_endpoint(text)
