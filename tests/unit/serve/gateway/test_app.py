from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from fake_process import Registry, version
from gateways import CHAT, Running, body, running
from starlette.datastructures import Headers

from llmops.engine.openai.errors import ApiError
from llmops.serve.gateway.app import is_keyless
from llmops.serve.gateway.hooks import Caller, Exchange, Keyless, Unrecorded

Scenario = Callable[[Running], Awaitable[None]]


def play(scenario: Scenario, folder: Path, **settings: Any) -> None:
    async def run() -> None:
        async with running(folder, **settings) as gateway:
            await scenario(gateway)

    asyncio.run(asyncio.wait_for(run(), 60))


class OneKey:
    """A guard with one key, which is limited to a number of requests."""

    def __init__(self, requests: int) -> None:
        self.left, self.spent = requests, 0

    def admit(self, headers: Headers) -> Caller:
        if headers.get("authorization") != "Bearer secret":
            raise ApiError(401, "a key is required", headers={"WWW-Authenticate": "Bearer"})
        self.left -= 1
        if self.left < 0:
            raise ApiError(429, "too many requests", headers={"Retry-After": "7"})
        return Caller("ci")

    def spend(self, caller: Caller, tokens: int) -> None:
        assert caller.name == "ci"
        self.spent += tokens

    def close(self) -> None:
        pass


class Notebook:
    """A recorder that keeps everything; it is its own record."""

    dropped, unredacted = 3, 2
    content = True

    def __init__(self) -> None:
        self.ended: list[Exchange] = []
        self.headers = {"x-mlflow-trace-id": "tr-1", "x-llmops-receipt": 'version="bot@v7"'}

    def begin(self, exchange: Exchange) -> Notebook:
        return self

    def end(self, exchange: Exchange) -> None:
        self.ended.append(exchange)

    def close(self) -> None:
        pass


def test_health_and_models(tmp_path: Path) -> None:
    async def scenario(gateway: Running) -> None:
        assert await gateway.get("/livez") == (200, {"status": "live"})
        assert await gateway.get("/readyz") == (
            200,
            {
                "status": "ready",
                "deployment": "desk",
                "version": "bot@v7",
                "engine": "local",
                "unproven": True,
            },
        )
        status, found = await gateway.get("/v1/models")
        assert (status, [one["id"] for one in found["data"]]) == (200, ["desk", "bot@v7"])
        for name in ("desk", "bot", "bot/7", "bot%2F7", "bot@v7", "models:/bot/7"):
            status, found = await gateway.get(f"/v1/models/{name}")
            assert (status, found["object"]) == (200, "model")
        for name in ("bot/8", "bot@v8", "Bot", "b" * 64, "gpt-5", ""):
            status, found = await gateway.get(f"/v1/models/{name}")
            assert (status, found["error"]["code"]) == (404, "model_not_found")

    play(scenario, tmp_path, registry=Registry(version(7, proven=False)))


def test_nothing_else_of_an_engine_can_be_reached(tmp_path: Path) -> None:
    async def scenario(gateway: Running) -> None:
        before = gateway.engines.started[0].stats()
        for path in (
            "/",
            "/health",
            "/stats",
            "/adapters",
            "/invocations",
            "/v1/load_lora_adapter",
            "/v1/unload_lora_adapter",
            "/v1/embeddings",
            "/tokenize",
            "/docs",
            "//v1/models",
            "/v1/models/../load_lora_adapter",
            "/v1/chat/completions/",
        ):
            async with gateway.http.post(gateway.url + path, json={}) as response:
                assert response.status in (404, 405), path
                assert "error" in await response.json()
        assert gateway.engines.started[0].stats() == before

    play(scenario, tmp_path)


def test_a_wrong_method_names_the_right_one(tmp_path: Path) -> None:
    async def scenario(gateway: Running) -> None:
        async with gateway.http.get(gateway.url + CHAT) as response:
            assert (response.status, response.headers["allow"]) == (405, "POST")
        async with gateway.http.head(gateway.url + "/livez") as response:
            assert response.status == 200

    play(scenario, tmp_path)


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"model": "gpt-5"}, 404, "model"),
        ({"model": "bot@v8"}, 404, "model"),
        ({"model": 5}, 400, "model"),
        ({"max_tokens": 5000}, 400, "max_tokens"),
        ({"stream": 1}, 400, "stream"),
    ],
)
def test_a_refusal_names_the_parameter_and_the_current_version(
    tmp_path: Path, fields: dict[str, Any], status: int, param: str
) -> None:
    async def scenario(gateway: Running) -> None:
        got, headers, said = await gateway.ask(**fields)
        assert (got, said["error"]["param"]) == (status, param)
        assert headers["x-llmops-model-version"] == "bot@v7"
        if status == 404:
            assert "bot@v7" in said["error"]["message"]

    play(scenario, tmp_path)


def test_every_name_of_the_current_version_is_answered(tmp_path: Path) -> None:
    async def scenario(gateway: Running) -> None:
        for name in ("desk", "bot", "bot/7", "bot@v7", "models:/bot/7", None):
            status, _, said = await gateway.ask(model=name)
            assert (status, said["model"]) == (200, "bot@v7")
        asked = {"prompt": "hi", "max_tokens": 2}
        async with gateway.http.post(gateway.url + "/v1/completions", json=asked) as response:
            assert (await response.json())["choices"][0]["text"] == " bot@v7 bot@v7"

    play(scenario, tmp_path)


def test_a_key_is_asked_for_before_anything_else(tmp_path: Path) -> None:
    guard = OneKey(3)

    async def scenario(gateway: Running) -> None:
        for path in ("/v1/models", "/metrics", "/v1/models/bot"):
            assert (await gateway.get(path))[0] == 401
        assert (await gateway.ask())[0] == 401
        assert (await gateway.get("/livez"))[0] == (await gateway.get("/readyz"))[0] == 200
        gateway.http.headers["Authorization"] = "Bearer secret"
        assert (await gateway.ask())[0] == 200
        assert (await gateway.stream())[1][-1] == b"[DONE]"
        assert guard.spent == 2 * 12, "streamed tokens count too"
        assert (await gateway.get("/metrics"))[0] == 200
        status, headers, _ = await gateway.ask()
        assert (status, headers["retry-after"]) == (429, "7")

    play(scenario, tmp_path, parts={"guard": guard})
    assert is_keyless(Keyless())
    assert not is_keyless(guard)
    assert Unrecorded().dropped == 0


def test_what_was_asked_and_answered_is_recorded_and_its_headers_are_sent(tmp_path: Path) -> None:
    notes = Notebook()

    async def scenario(gateway: Running) -> None:
        for headers in ((await gateway.ask("one"))[1], (await gateway.stream("two"))[0]):
            assert headers["x-mlflow-trace-id"] == "tr-1"
            assert headers["x-llmops-receipt"] == 'version="bot@v7"'
        headers = (await gateway.ask("fault=500"))[1]
        assert headers["x-mlflow-trace-id"] == "tr-1"
        whole, streamed, failed = notes.ended
        assert whole.body["messages"][0]["content"] == "one"
        assert json.loads(whole.answer)["model"] == "bot@v7"
        assert (whole.status, whole.error, whole.first) == (200, None, None)
        assert (whole.prompt_tokens, whole.completion_tokens) == (8, 4)
        assert streamed.stream
        assert len(streamed.events) == 6
        assert streamed.first is not None
        assert 0 < streamed.first <= streamed.seconds
        assert (streamed.prompt_tokens, streamed.completion_tokens) == (8, 4)
        assert (failed.status, failed.error) == (502, "failed")
        figures = gateway.service.metrics.text().decode()
        assert "llmops_dropped_traces_total 3.0" in figures
        assert "llmops_unredacted_traces_total 2.0" in figures

    play(scenario, tmp_path, parts={"recorder": notes})


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_a_page_that_comes_in_by_another_name_is_refused(tmp_path: Path, host: str) -> None:
    async def scenario(gateway: Running) -> None:
        for path in ("/v1/models", "/metrics"):
            async with gateway.http.get(gateway.url + path, headers={"Host": host}) as response:
                assert response.status == 421
        headers = {"Host": "localhost:1234"}
        async with gateway.http.get(gateway.url + "/v1/models", headers=headers) as response:
            assert response.status == 200
        evil = {"Origin": "https://evil.example"}
        async with gateway.http.post(gateway.url + CHAT, json=body("a"), headers=evil) as response:
            assert response.status == 403

    play(scenario, tmp_path)


def test_a_named_page_may_read_the_version(tmp_path: Path) -> None:
    async def scenario(gateway: Running) -> None:
        page = {"Origin": "https://chat.example.org"}
        async with gateway.http.post(gateway.url + CHAT, json=body("a"), headers=page) as response:
            assert response.headers["access-control-allow-origin"] == page["Origin"]
            shown = response.headers["access-control-expose-headers"]
            assert {"x-llmops-model-version", "x-mlflow-trace-id"} <= set(shown.split(", "))

    play(scenario, tmp_path, cors=("https://chat.example.org",))


def test_metrics_are_by_version(tmp_path: Path) -> None:
    async def scenario(gateway: Running) -> None:
        await gateway.ask()
        await gateway.stream()
        await gateway.ask(model="gpt-5")
        gateway.service.router.closing = True
        assert (await gateway.get("/readyz"))[0] == 503, "that is no refused request"
        gateway.service.router.closing = False
        _, text = await gateway.get("/metrics")
        lines = text.decode().splitlines()
        for line in (
            'llmops_requests_total{outcome="ok",version="bot@v7"} 2.0',
            'llmops_tokens_total{kind="completion",version="bot@v7"} 8.0',
            'llmops_time_to_first_token_seconds_count{version="bot@v7"} 1.0',
            'llmops_request_seconds_count{version="bot@v7"} 2.0',
            'llmops_tokens_per_second_count{version="bot@v7"} 2.0',
            'llmops_in_flight{version="bot@v7"} 0.0',
            'llmops_current_version{version="bot@v7"} 1.0',
            'llmops_refused_total{status="404"} 1.0',
            "llmops_waiting 0.0",
            "llmops_swaps_total 1.0",
            "llmops_ready 1.0",
        ):
            assert line in lines
        assert 'status="503"' not in text.decode()

    play(scenario, tmp_path)
