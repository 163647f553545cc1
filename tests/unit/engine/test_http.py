"""The engine over HTTP, against a real server of ours: nothing is lost, whatever happens."""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from servers import answering
from sides import side_of

from llmops.engine.http import DOWN, GIVE_UP, Endpoint, HttpEngine, parse_endpoint
from llmops.engine.local import LocalEngine
from llmops.errors import ServeError, UsageError
from llmops.records import Answer, ModelFiles, Sampling
from llmops.serve.app import create_app
from llmops.serve.generation import QueuedEngine

SAMPLING = Sampling(max_tokens=8)
CONVERSATIONS = [[{"role": "user", "content": f"Word {i}."}] for i in range(30)]


@contextmanager
def replying(body: bytes) -> Iterator[str]:
    """A server that says the same to everybody."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


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


def test_a_server_that_is_not_there_is_an_error() -> None:
    engine = HttpEngine(Endpoint("http://127.0.0.1:9/v1", "bot"), retries=1)
    with pytest.raises(ServeError, match=f"{DOWN}Connection error") as refused:
        engine.generate(CONVERSATIONS[:1], SAMPLING)
    assert "run this again" in str(refused.value.next_command)


def test_a_server_that_never_answers_runs_into_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        engine = HttpEngine(Endpoint(place, "bot"), timeout=0.3, retries=0)
        with pytest.raises(ServeError, match=f"{DOWN}Request timed out"):
            engine.generate(CONVERSATIONS[:1], SAMPLING)


@contextmanager
def failing(post: int, get: int, good: int = 0) -> Iterator[str]:
    """A server that answers some prompts, then fails each, and is asked whether it is up."""

    class Handler(BaseHTTPRequestHandler):
        said = 0

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            Handler.said += 1
            is_good = Handler.said <= good
            self._say(200 if is_good else post, {"choices": [CHOICE]} if is_good else {})

        def do_GET(self) -> None:
            self._say(get, {})

        def _say(self, status: int, what: dict[str, object]) -> None:
            body = json.dumps(what).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("get", [200, 404, 401, 501])
def test_a_prompt_that_breaks_a_server_which_lives_on_is_an_answer_that_says_why(get: int) -> None:
    with failing(500, get, good=2) as place:
        engine = HttpEngine(Endpoint(place, "bot"), retries=0, concurrency=1)
        *good, bad = engine.generate(CONVERSATIONS[:3], SAMPLING)
    assert [answer.text for answer in good] == ["fine"] * 2
    assert (bad.error or "").startswith(f"{DOWN}Error code: 500")


def test_a_server_that_ends_behind_a_proxy_is_found_at_the_first_prompt_lost() -> None:
    with failing(500, 502, good=2) as place:
        engine = HttpEngine(Endpoint(place, "bot"), retries=0, concurrency=1)
        told: dict[int, Answer] = {}
        with pytest.raises(ServeError, match=f"{DOWN}Error code: 500"):
            engine.generate(CONVERSATIONS, SAMPLING, on_answer=told.__setitem__)
    assert (told[0].text, told[1].text) == ("fine", "fine")


def test_a_server_that_answers_no_prompt_any_more_is_given_up() -> None:
    with failing(500, 200, good=2) as place:
        engine = HttpEngine(Endpoint(place, "bot"), retries=0, concurrency=1)
        told: dict[int, Answer] = {}
        with pytest.raises(ServeError, match=f"{DOWN}Error code: 500"):
            engine.generate(CONVERSATIONS * 20, SAMPLING, on_answer=told.__setitem__)
    assert 2 + GIVE_UP <= len(told) < 600, "the others are not asked"


CHOICE: dict[str, object] = {
    "index": 0,
    "message": {"role": "assistant", "content": "fine"},
    "finish_reason": "stop",
}
ODD: dict[str, object] = {
    "a page": "<html></html>",
    "a list": [1, 2],
    "nothing": None,
    "choices without a message": {"choices": [{}]},
    "no message": {"choices": [{**CHOICE, "message": None}]},
    "choices of text": {"choices": ["a"]},
    "text for choices": {"choices": "abc"},
    "parts": {"choices": [{**CHOICE, "message": {"content": [{"type": "text", "text": "x"}]}}]},
    "a reason that is none": {"choices": [{**CHOICE, "finish_reason": {"a": 1}}]},
    "usage of another shape": {"choices": [CHOICE], "usage": [1]},
}


@pytest.mark.parametrize("kind", [*ODD, "cut off"])
def test_a_reply_of_another_shape_is_an_answer_that_says_so(kind: str) -> None:
    body = b'{"choices": [{"ind' if kind == "cut off" else json.dumps(ODD[kind]).encode()
    with replying(body) as place:
        (answer,) = HttpEngine(Endpoint(place, "bot"), retries=0).generate(
            CONVERSATIONS[:1], SAMPLING
        )
    assert answer.error
    assert "\n" not in answer.error


@pytest.mark.parametrize("tokens", [None, "many", -5, math.nan, 3])
def test_a_count_that_is_none_is_no_tokens(tokens: object) -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": tokens, "total_tokens": 3}
    body = json.dumps({"choices": [CHOICE], "usage": usage}).encode()
    with replying(body) as place:
        (answer,) = HttpEngine(Endpoint(place, "bot"), retries=0).generate(
            CONVERSATIONS[:1], SAMPLING
        )
    assert (answer.text, answer.error) == ("fine", None)
    assert answer.tokens == (3 if tokens == 3 else 0)


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
            _, told = begun.communicate(timeout=20)
    assert begun.returncode == 130
    assert b"Interrupted" in told


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
