"""The key is required for every path; `tests/vllm` asks a real server."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from llmops.engine.vllm.keyed import EveryPath


async def answer(request: Any) -> PlainTextResponse:
    return PlainTextResponse("answered")


async def talk(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close()


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setenv("VLLM_API_KEY", "secret")
    routes = [Route(path, answer, methods=["GET", "POST", "OPTIONS"]) for path in PATHS]
    app = Starlette(routes=[*routes, Route("/health", answer), WebSocketRoute("/talk", talk)])
    app.add_middleware(EveryPath)
    return TestClient(app)


PATHS = ("/v1/models", "/adapters", "/invocations", "/metrics")
KEY = {"Authorization": "Bearer secret"}


@pytest.mark.parametrize("path", PATHS)
def test_no_path_answers_without_the_key(client: TestClient, path: str) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "secret"}):
        for method in ("GET", "POST", "OPTIONS"):
            assert client.request(method, path, headers=headers).status_code == 401
    assert client.post(path, headers=KEY).text == "answered"


def test_whether_it_runs_is_no_secret(client: TestClient) -> None:
    assert client.get("/health").text == "answered"


def test_websockets_need_the_key_too(client: TestClient) -> None:
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/talk"):
        pass
    with client.websocket_connect("/talk", headers=KEY):
        pass
