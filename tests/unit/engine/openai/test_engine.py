"""The engine over HTTP, against a real server of ours: nothing is lost, whatever happens."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from chat_servers import CHOICE, replying
from servers import answering
from sides import generate, side_of
from workers import worker_app

from llmops.engine import Key, Request
from llmops.engine.local.engine import LocalEngine
from llmops.engine.openai.endpoint import Endpoint, remote_model
from llmops.engine.openai.engine import HttpEngine, open_remote
from llmops.errors import ServeError, UsageError
from llmops.records import Answer, ModelFiles, Sampling

SAMPLING = Sampling(max_tokens=8)
CONVERSATIONS = [[{"role": "user", "content": f"Word {i}."}] for i in range(30)]


def ask(
    engine: HttpEngine, conversations: list[list[dict[str, str]]], sampling: Sampling = SAMPLING
) -> list[Answer]:
    """Answers of the engine's one model."""
    return generate(engine, remote_model(engine.endpoint.uri), conversations, sampling)


@pytest.fixture(scope="module")
def side(folder: Path, adapter: Path) -> ModelFiles:
    return side_of(folder, adapter)


@pytest.fixture(scope="module")
def local(side: ModelFiles) -> LocalEngine:
    return LocalEngine([side])


@pytest.fixture(scope="module")
def url(local: LocalEngine, side: ModelFiles) -> Iterator[str]:
    app = worker_app(local, side, "bot/3", "bot")
    with answering(app) as address:
        yield f"{address}/v1"


def test_every_answer_comes_although_the_server_s_queue_is_full(
    url: str, local: LocalEngine, side: ModelFiles
) -> None:
    engine = HttpEngine(Endpoint(url, "bot"), key="secret", concurrency=24)
    assert ask(engine, CONVERSATIONS) == generate(local, side, CONVERSATIONS, SAMPLING)


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    engine = HttpEngine(Endpoint(url, "bot"), key="secret", retries=0)
    assert ask(engine, CONVERSATIONS[:1])[0].error is None


def test_sampling_is_passed_on(url: str, local: LocalEngine, side: ModelFiles) -> None:
    engine = HttpEngine(Endpoint(url, "bot"), key="secret")
    sampling = Sampling(max_tokens=12, temperature=1.2, top_p=0.9, seed=4, stop=("e",))
    answers = ask(engine, CONVERSATIONS[:3], sampling)
    assert answers == generate(local, side, CONVERSATIONS[:3], sampling)


def test_a_prompt_that_is_refused_is_an_answer_that_says_why(url: str) -> None:
    long = [{"role": "user", "content": "word " * 600}]
    engine = HttpEngine(Endpoint(url, "bot"), key="secret")
    refused, fine = ask(engine, [long, CONVERSATIONS[0]])
    assert (refused.text, refused.finish_reason) == ("", "error")
    assert "context is" in str(refused.error)
    assert fine.error is None


def test_a_server_that_is_not_there_is_an_error() -> None:
    engine = HttpEngine(Endpoint("http://127.0.0.1:9/v1", "bot"), retries=1)
    with pytest.raises(ServeError, match="not even a probe: Connection error") as refused:
        ask(engine, CONVERSATIONS[:1])
    assert "finished answers are kept" in str(refused.value.next_command)


def test_a_server_that_never_answers_runs_into_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        engine = HttpEngine(Endpoint(place, "bot"), timeout=0.3, retries=0)
        with pytest.raises(ServeError, match="not even a probe: Request timed out"):
            ask(engine, CONVERSATIONS[:1])


@pytest.mark.parametrize("failure", [(503, {}), (200, b"<html>")])
def test_a_prompt_that_a_server_cannot_do_is_an_answer_that_says_why(
    failure: tuple[int, object],
) -> None:
    with replying(lambda prompt: failure if "1" in prompt else (200, {"choices": [CHOICE]})) as url:
        engine = HttpEngine(Endpoint(url, "bot"), retries=0)
        fine, odd = ask(engine, CONVERSATIONS[:2])
    assert (fine.text, fine.error) == ("fine", None)
    assert (odd.text, odd.finish_reason) == ("", "error")
    assert odd.error
    assert "\n" not in odd.error


@pytest.mark.parametrize("failure", [(503, {}), (200, b"<html>")])
def test_a_server_that_fails_from_some_prompt_on_is_an_error_and_its_answers_are_kept(
    failure: tuple[int, object],
) -> None:
    asked = count()
    given: dict[Key, Answer] = {}
    with replying(lambda _: (200, {"choices": [CHOICE]}) if next(asked) < 28 else failure) as url:
        engine = HttpEngine(Endpoint(url, "bot"), retries=0, concurrency=2)
        side = remote_model(engine.endpoint.uri)
        requests = [Request(side, one, SAMPLING, i) for i, one in enumerate(CONVERSATIONS)]
        with pytest.raises(ServeError, match="not even a probe"):
            given.update(engine.answer(requests))
    assert sum(answer.error is None for answer in given.values()) == 28


def test_whoever_interrupts_does_not_wait_for_a_silent_server(tmp_path: Path) -> None:
    suite = tmp_path / "suite.jsonl"
    suite.write_text("".join(json.dumps({"prompt": f"p{i}"}) + "\n" for i in range(4)))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"openai:http://127.0.0.1:{silent.getsockname()[1]}/v1#"
        command = [sys.executable, "-m", "llmops", "compare", f"{uri}a", f"{uri}b"]
        command += ["--suite", str(suite), "--scorer", "regex:a"]
        store = {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'mlflow.db'}"}
        begun = subprocess.Popen(command, stderr=subprocess.PIPE, env={**os.environ, **store})
        silent.settimeout(120)
        connection, _ = silent.accept()
        with connection:
            begun.send_signal(signal.SIGINT)
            _, errors = begun.communicate(timeout=20)
    assert begun.returncode == 130
    assert b"Interrupted" in errors


def test_what_no_retry_can_fix_is_the_user_s_mistake(url: str) -> None:
    with pytest.raises(UsageError, match=r"refuses the key \(401\)") as caught:
        ask(HttpEngine(Endpoint(url, "bot"), key="wrong"), CONVERSATIONS)
    assert "wrong" not in str(caught.value)
    with pytest.raises(UsageError, match="the server has no model 'other'"):
        ask(HttpEngine(Endpoint(url, "other"), key="secret"), CONVERSATIONS[:1])


def test_one_connection_serves_one_model(url: str, side: ModelFiles) -> None:
    one, other = (remote_model(f"openai:{url}#{name}") for name in ("bot", "other"))
    with pytest.raises(
        UsageError, match=r"one connection serves one model; received .*#bot, .*#other"
    ):
        open_remote([one, other])
    engine = open_remote([one])
    for stranger in (other, side):
        with pytest.raises(UsageError, match=r"this engine asks openai:http\S+#bot alone"):
            engine.answer([Request(stranger, CONVERSATIONS[0], SAMPLING)])
    with pytest.raises(UsageError, match="not to continue a text"):
        engine.answer([Request(one, "def ", SAMPLING)])


@pytest.mark.parametrize("key", ["abc\n", "schlüssel"])
def test_a_key_that_no_header_may_hold_is_refused_and_not_shown(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(UsageError, match="OPENAI_API_KEY: contains a line break") as refused:
        HttpEngine(Endpoint("http://127.0.0.1:9/v1", "bot"))
    assert key not in str(refused.value)
