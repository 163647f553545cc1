from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from llmops.serve.worker.keys import RequireKey


async def answer(_: Request) -> PlainTextResponse:
    return PlainTextResponse("answer")


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Bearer s3cret", 200),
        ("bearer  s3cret ", 200),
        ("Bearer s3cre", 401),
        ("Bearer s3cret s3cret", 401),
        ("Basic s3cret", 401),
        ("s3cret", 401),
        ("", 401),
    ],
)
def test_only_the_key_opens(header: str, status: int) -> None:
    app = Starlette(routes=[Route("/", answer)], middleware=[Middleware(RequireKey, key="s3cret")])
    reply = TestClient(app).get("/", headers={"Authorization": header})
    assert reply.status_code == status
    if status == 401:
        assert reply.json()["error"]["code"] == "invalid_api_key"
        assert reply.headers["www-authenticate"] == "Bearer"
