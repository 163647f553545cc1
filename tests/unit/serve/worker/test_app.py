from __future__ import annotations

import asyncio
import json
import logging
import time
from typing import Any

import pytest
from sides import generate
from starlette.testclient import TestClient

from llmops.engine.local.engine import LocalEngine
from llmops.records import Answer, ModelFiles, Sampling
from llmops.serve.worker.app import MAX_BODY, create_app
from llmops.serve.worker.queue import QueuedEngine

HI = [{"role": "user", "content": "hi"}]
CHAT = "/v1/chat/completions"


@pytest.fixture
def client(engine: LocalEngine, files: ModelFiles) -> TestClient:
    app = create_app(QueuedEngine(engine, files), deployment="quickstart", model="bot/3")
    return TestClient(app, raise_server_exceptions=False)


@pytest.fixture
def expected(engine: LocalEngine, files: ModelFiles) -> Answer:
    return generate(engine, files, [HI], Sampling(max_tokens=12))[0]


def body(**fields: Any) -> dict[str, Any]:
    return {"model": "quickstart", "messages": HI, "max_tokens": 12, **fields}


def events(text: str) -> list[dict[str, Any]]:
    *data, end = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    assert end == "[DONE]"
    return [json.loads(item) for item in data]


def test_a_chat_is_answered_by_the_version_it_names(client: TestClient, expected: Answer) -> None:
    response = client.post(CHAT, json=body())
    assert response.status_code == 200
    assert response.headers["x-llmops-model-version"] == "bot/3"
    said = response.json()
    assert (said["object"], said["model"]) == ("chat.completion", "bot/3")
    assert said["choices"][0]["message"] == {"role": "assistant", "content": expected.text}
    assert said["choices"][0]["finish_reason"] == expected.finish_reason
    assert said["usage"] == {
        "prompt_tokens": expected.prompt_tokens,
        "completion_tokens": expected.tokens,
        "total_tokens": expected.prompt_tokens + expected.tokens,
    }


def test_a_stream_says_the_same(client: TestClient, expected: Answer) -> None:
    asked = body(stream=True, stream_options={"include_usage": True})
    response = client.post(CHAT, json=asked)
    assert response.headers["content-type"].startswith("text/event-stream")
    first, *pieces, end, usage = events(response.text)
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert "".join(p["choices"][0]["delta"]["content"] for p in pieces) == expected.text
    assert end["choices"][0]["finish_reason"] == expected.finish_reason
    assert usage["usage"]["completion_tokens"] == expected.tokens
    assert {event["id"] for event in pieces} == {first["id"]}
    assert {event["object"] for event in pieces} == {"chat.completion.chunk"}


def test_stop_strings_are_cut_whole_and_streamed(client: TestClient, expected: Answer) -> None:
    stop = expected.text[2:4]
    whole = client.post(CHAT, json=body(stop=stop)).json()["choices"][0]
    streamed = events(client.post(CHAT, json=body(stop=stop, stream=True)).text)
    text = "".join(e["choices"][0]["delta"].get("content", "") for e in streamed)
    assert whole["message"]["content"] == text == expected.text[: expected.text.find(stop)]
    assert whole["finish_reason"] == streamed[-1]["choices"][0]["finish_reason"] == "stop"


def test_text_is_completed(client: TestClient, engine: LocalEngine, files: ModelFiles) -> None:
    asked = {"model": "bot", "prompt": "def wrap(", "max_tokens": 6}
    whole = client.post("/v1/completions", json=asked).json()
    assert whole["object"] == "text_completion"
    assert whole["usage"]["prompt_tokens"] == len(engine.token_ids("def wrap("))
    streamed = events(client.post("/v1/completions", json=asked | {"stream": True}).text)
    assert "".join(event["choices"][0]["text"] for event in streamed) == whole["choices"][0]["text"]


def test_a_seed_repeats_an_answer(client: TestClient) -> None:
    asked = body(temperature=1.0, seed=5)
    first, second = (client.post(CHAT, json=asked).json()["choices"] for _ in range(2))
    assert first == second


def test_several_answers_are_those_of_seeds_that_follow_each_other(client: TestClient) -> None:
    asked = body(temperature=1.0, seed=5)
    done = client.post(CHAT, json=asked | {"n": 3}).json()
    assert [choice["index"] for choice in done["choices"]] == [0, 1, 2]
    alone = [client.post(CHAT, json=asked | {"seed": seed}).json() for seed in (5, 6, 7)]
    texts = [choice["message"]["content"] for choice in done["choices"]]
    assert texts == [one["choices"][0]["message"]["content"] for one in alone]
    tokens = [one["usage"]["completion_tokens"] for one in alone]
    assert done["usage"]["completion_tokens"] == sum(tokens)
    assert done["usage"]["prompt_tokens"] == alone[0]["usage"]["prompt_tokens"]


def test_an_answer_without_a_limit_ends_with_the_context(
    client: TestClient, engine: LocalEngine
) -> None:
    asked = {"model": "bot", "messages": [{"role": "user", "content": "a" * 400}]}
    usage = client.post(CHAT, json=asked).json()["usage"]
    assert usage["total_tokens"] <= engine.context


def test_models_and_health(client: TestClient) -> None:
    assert [model["id"] for model in client.get("/v1/models").json()["data"]] == ["bot/3"]
    assert client.get("/livez").status_code == 200
    assert client.get("/readyz").json() == {"status": "ready", "deployment": "quickstart"}


@pytest.mark.parametrize("name", ["bot/3", "bot", "quickstart", "bot%2F3"])
def test_a_model_is_found_by_each_of_its_names(client: TestClient, name: str) -> None:
    found = client.get(f"/v1/models/{name}")
    assert found.status_code == 200
    assert found.json()["id"] == name.replace("%2F", "/")
    assert found.json()["object"] == "model"
    assert found.headers["x-llmops-model-version"] == "bot/3"


@pytest.mark.parametrize("name", ["gpt-5", "bot/4", "bot/3/x", "Bot", ""])
def test_another_model_is_not_found(client: TestClient, name: str) -> None:
    missing = client.get(f"/v1/models/{name}")
    assert missing.status_code == 404
    assert missing.json()["error"]["code"] == "model_not_found"


def test_a_page_of_this_machine_is_answered_and_another_refused(client: TestClient) -> None:
    asks = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    local, other = {"Origin": "http://localhost:3000"}, {"Origin": "https://evil.example"}
    assert client.options(CHAT, headers=local | asks).status_code == 200
    answered = client.post(CHAT, json=body(max_tokens=2), headers=local)
    assert answered.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert "x-llmops-model-version" in answered.headers["access-control-expose-headers"]
    refused = client.post(CHAT, json=body(n=0), headers=local)
    assert refused.status_code == 400
    assert "access-control-allow-origin" in refused.headers, "a page may read why"
    assert client.post(CHAT, json=body(), headers=other).status_code == 403


def test_a_preflight_request_needs_no_key(engine: LocalEngine, files: ModelFiles) -> None:
    app = create_app(
        QueuedEngine(engine, files),
        deployment="quickstart",
        model="bot/3",
        key="s3cret",
        origins=["https://chat.example.org"],
    )
    page = {"Origin": "https://chat.example.org", "Access-Control-Request-Method": "POST"}
    assert TestClient(app).options(CHAT, headers=page).status_code == 200
    unknown = TestClient(app).post(CHAT, json=body(), headers=page)
    assert unknown.status_code == 401
    assert unknown.headers["access-control-allow-origin"] == "https://chat.example.org"


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (400, b"{"),
        (400, json.dumps(body(n=129)).encode()),
        (400, json.dumps(body(max_tokens=5000)).encode()),
        (400, json.dumps(body(messages=[{"role": "user", "content": "a b " * 600}])).encode()),
        (404, json.dumps(body(model="gpt-5")).encode()),
        (413, b" " * (MAX_BODY + 1)),
    ],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_refusals_are_shaped_like_openai(
    client: TestClient, status: int, content: bytes, chunked: bool
) -> None:
    response = client.post(CHAT, content=iter([content]) if chunked else content)
    assert response.status_code == status
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}


def test_a_stream_that_is_refused_is_no_stream(client: TestClient) -> None:
    response = client.post(CHAT, json=body(stream=True, max_tokens=5000))
    assert response.status_code == 400
    assert "context is 512" in response.json()["error"]["message"]


def test_wrong_paths_and_methods(client: TestClient) -> None:
    assert client.get(CHAT).status_code == 405
    assert "error" in client.get(CHAT).json()
    assert "error" in client.post("/v1/embeddings", json={}).json()


def test_a_full_queue_says_when_to_come_back(engine: LocalEngine, files: ModelFiles) -> None:
    queued = QueuedEngine(engine, files, waiting=0)
    queued._places.acquire()  # as a request that is being answered does
    client = TestClient(create_app(queued, deployment="quickstart", model="bot/3"))
    response = client.post(CHAT, json=body())
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0


def test_a_key_guards_v1_and_nothing_else(engine: LocalEngine, files: ModelFiles) -> None:
    queued = QueuedEngine(engine, files)
    app = create_app(queued, deployment="quickstart", model="bot/3", key="s3cret")
    client = TestClient(app)
    for wrong in ({}, {"Authorization": "Bearer no"}, {"Authorization": "Basic s3cret"}):
        assert client.get("/v1/models", headers=wrong).status_code == 401
        assert client.post("/v1/nothing", headers=wrong).status_code == 401
    assert client.get("/v1/models", headers={"Authorization": "bearer s3cret"}).status_code == 200
    assert client.get("/readyz").status_code == 200


def test_failures_are_logged_without_the_prompt(
    files: ModelFiles, caplog: pytest.LogCaptureFixture
) -> None:
    engine = LocalEngine([files])
    engine.model = None  # whatever breaks in torch
    app = create_app(QueuedEngine(engine, files), deployment="quickstart", model="bot/3")
    with caplog.at_level(logging.DEBUG):
        secret = body(messages=[{"role": "user", "content": "my secret"}])
        response = TestClient(app, raise_server_exceptions=False).post(CHAT, json=secret)
    assert response.status_code == 500
    assert response.json()["error"]["type"] == "server_error"
    assert "generation failed" in caplog.text
    assert "my secret" not in caplog.text


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_ends_its_generation(
    long_engine: LocalEngine, long_files: ModelFiles, stream: bool
) -> None:
    """Spoken as ASGI: the test client cannot leave early."""
    asked = body(stream=stream, max_tokens=30_000, temperature=1.0, seed=1)

    async def leave() -> float:
        app = create_app(
            QueuedEngine(long_engine, long_files), deployment="quickstart", model="bot/3"
        )
        await request(app, asked, stay=1.0)
        began = time.monotonic()
        await request(app, body(max_tokens=2), stay=60.0)
        return time.monotonic() - began

    assert asyncio.run(leave()) < 10  # 30,000 tokens take minutes


async def request(app: Any, asked: dict[str, Any], *, stay: float) -> None:
    incoming = [{"type": "http.request", "body": json.dumps(asked).encode()}]
    leaves = time.monotonic() + stay

    async def receive() -> dict[str, Any]:
        if incoming:
            return incoming.pop()
        if (left := leaves - time.monotonic()) > 0:
            await asyncio.sleep(left)
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        pass

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": CHAT,
        "raw_path": CHAT.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [],
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
    }
    await app(scope, receive, send)
