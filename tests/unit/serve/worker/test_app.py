from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sides import generate, write_adapter
from starlette.testclient import TestClient

from llmops.engine.local.continuous import ContinuousBatch
from llmops.engine.local.engine import LocalEngine
from llmops.files import digest
from llmops.models.resolve import of_base
from llmops.records import Answer, ModelFiles, Sampling
from llmops.serve.engines import files_json
from llmops.serve.worker.app import MAX_BODY, create_app
from llmops.serve.worker.versions import Versions

HI = [{"role": "user", "content": "hi"}]
CHAT = "/v1/chat/completions"
NAME, KEY = "bot@v3", "s3cret"


@pytest.fixture(scope="module")
def batch(files: ModelFiles) -> Iterator[ContinuousBatch]:
    with closing(ContinuousBatch(LocalEngine([files, of_base(files.base)]))) as batch:
        yield batch


@pytest.fixture
def client(batch: ContinuousBatch, files: ModelFiles) -> TestClient:
    return client_of(batch, files)


def client_of(batch: ContinuousBatch, files: ModelFiles) -> TestClient:
    app = create_app(batch, Versions(batch, NAME, files), key=KEY)
    headers = {"Authorization": f"Bearer {KEY}"}
    return TestClient(app, raise_server_exceptions=False, headers=headers)


@pytest.fixture
def expected(engine: LocalEngine, files: ModelFiles) -> Answer:
    return generate(engine, files, [HI], Sampling(max_tokens=12))[0]


def body(**fields: Any) -> dict[str, Any]:
    return {"model": NAME, "messages": HI, "max_tokens": 12, **fields}


def events(text: str) -> list[dict[str, Any]]:
    *data, end = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    assert end == "[DONE]"
    return [json.loads(item) for item in data]


def test_a_chat_is_answered_by_the_version_it_names(client: TestClient, expected: Answer) -> None:
    response = client.post(CHAT, json=body())
    assert response.status_code == 200
    said = response.json()
    assert (said["object"], said["model"]) == ("chat.completion", NAME)
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
    asked = {"model": NAME, "prompt": "def wrap(", "max_tokens": 6}
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
    asked = {"model": NAME, "messages": [{"role": "user", "content": "a" * 400}]}
    usage = client.post(CHAT, json=asked).json()["usage"]
    assert usage["total_tokens"] <= engine.context


def test_an_answer_without_a_limit_is_no_longer_than_the_deployment_allows(
    long_files: ModelFiles,
) -> None:
    with closing(ContinuousBatch(LocalEngine([long_files]), rows=1)) as batch:
        app = create_app(batch, Versions(batch, NAME, long_files), key=KEY, most=20)
        client = TestClient(app, headers={"Authorization": f"Bearer {KEY}"})
        for limit in ({}, {"max_tokens": -1}):
            asked = {"model": NAME, "messages": HI, **limit}
            assert client.post(CHAT, json=asked).json()["usage"]["completion_tokens"] == 20


def test_models_and_health(client: TestClient, files: ModelFiles) -> None:
    models = [model["id"] for model in client.get("/v1/models").json()["data"]]
    assert models == [NAME, files.base.digest]
    assert client.get("/health", headers={"Authorization": ""}).status_code == 200


def test_the_base_answers_under_its_digest(
    client: TestClient, engine: LocalEngine, files: ModelFiles
) -> None:
    said = client.post(CHAT, json=body(model=files.base.digest)).json()
    with closing(LocalEngine([of_base(files.base)])) as bare:
        (expected,) = generate(bare, of_base(files.base), [HI], Sampling(max_tokens=12))
    assert said["model"] == files.base.digest
    assert said["choices"][0]["message"]["content"] == expected.text


def test_a_version_is_loaded_and_unloaded_while_others_answer(
    client: TestClient, files: ModelFiles, tiny_model: Path, tmp_path: Path
) -> None:
    adapter = write_adapter(tiny_model, tmp_path / "adapter", seed=5)
    other = replace(files, adapter_dir=adapter, adapter_digest=digest.of_model(adapter))
    load = {"lora_name": "bot@v4", "files": files_json.to_json(other)}
    assert client.post(CHAT, json=body(model="bot@v4")).status_code == 404
    for _ in range(2):  # a name stands for the same bytes
        assert client.post("/v1/load_lora_adapter", json=load).status_code == 200
    with closing(LocalEngine([other])) as alone:
        (expected,) = generate(alone, other, [HI], Sampling(max_tokens=12))
    said = client.post(CHAT, json=body(model="bot@v4")).json()
    assert (said["model"], said["choices"][0]["message"]["content"]) == ("bot@v4", expected.text)
    assert client.post("/v1/unload_lora_adapter", json={"lora_name": "bot@v4"}).is_success
    assert client.post(CHAT, json=body(model="bot@v4")).status_code == 404
    assert client.post("/v1/unload_lora_adapter", json={"lora_name": "bot@v4"}).status_code == 400


@pytest.mark.parametrize("given", [{}, {"lora_name": "x"}, {"lora_name": "x", "files": {"a": 1}}])
def test_a_load_without_files_is_refused(client: TestClient, given: dict[str, Any]) -> None:
    refused = client.post("/v1/load_lora_adapter", json=given)
    assert refused.status_code in (400, 500)
    assert refused.json()["error"]["message"]


def test_log_probabilities_are_those_of_the_likelihood(
    client: TestClient, engine: LocalEngine, files: ModelFiles, expected: Answer
) -> None:
    said = client.post(CHAT, json=body(logprobs=True, top_logprobs=2)).json()["choices"][0]
    tokens = said["logprobs"]["content"]
    assert len(tokens) == expected.tokens
    for token in tokens:
        assert token["top_logprobs"][0]["logprob"] == token["logprob"], "greedy"
        assert [len(token["top_logprobs"]), token["logprob"] <= 0] == [2, True]
    asked = {"model": NAME, "prompt": "def wrap(", "max_tokens": 3, "logprobs": 1}
    whole = client.post("/v1/completions", json=asked).json()["choices"][0]
    noted = whole["logprobs"]
    assert [len(noted[name]) for name in ("tokens", "token_logprobs", "top_logprobs")] == [3] * 3
    assert "".join(noted["tokens"]) == whole["text"]
    assert client.post(CHAT, json=body()).json()["choices"][0]["logprobs"] is None
    refused = client.post(CHAT, json=body(logprobs=True, stream=True)).json()["error"]
    assert (refused["param"], "stream" in refused["message"]) == ("logprobs", True)


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


def test_a_key_guards_v1_and_nothing_else(client: TestClient) -> None:
    for wrong in ("", "Bearer no", f"Basic {KEY}", f"Bearer {KEY}x"):
        assert client.get("/v1/models", headers={"Authorization": wrong}).status_code == 401
        assert client.post("/v1/nothing", headers={"Authorization": wrong}).status_code == 401
    assert client.get("/v1/models", headers={"Authorization": f"bearer {KEY}"}).status_code == 200


def test_failures_are_logged_without_the_prompt(
    files: ModelFiles, caplog: pytest.LogCaptureFixture
) -> None:
    engine = LocalEngine([files])
    batch = ContinuousBatch(engine)
    engine.model = None  # whatever breaks in torch
    app = create_app(batch, Versions(batch, NAME, files), key=KEY)
    with caplog.at_level(logging.DEBUG):
        secret = body(messages=[{"role": "user", "content": "my secret"}])
        headers = {"Authorization": f"Bearer {KEY}"}
        client = TestClient(app, raise_server_exceptions=False, headers=headers)
        response = client.post(CHAT, json=secret)
    assert response.status_code == 500
    assert response.json()["error"]["type"] == "server_error"
    assert "generation failed" in caplog.text
    assert "my secret" not in caplog.text


@pytest.mark.parametrize("stream", [True, False])
def test_clients_that_leave_end_their_generations(long_files: ModelFiles, stream: bool) -> None:
    """Spoken as ASGI: the test client cannot leave early."""
    asked = body(stream=stream, max_tokens=30_000, temperature=1.0, seed=1)

    async def leave(batch: ContinuousBatch) -> float:
        app = create_app(batch, Versions(batch, NAME, long_files), key=KEY)
        await asyncio.gather(*(request(app, asked, stay=1.0) for _ in range(17)))
        began = time.monotonic()
        await request(app, body(max_tokens=2), stay=60.0)
        return time.monotonic() - began

    with closing(ContinuousBatch(LocalEngine([long_files]), rows=4)) as batch:
        assert asyncio.run(leave(batch)) < 10  # 30,000 tokens take minutes


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
        "headers": [(b"authorization", f"Bearer {KEY}".encode())],
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
    }
    await app(scope, receive, send)
