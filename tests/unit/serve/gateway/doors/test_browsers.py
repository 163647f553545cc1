"""Pages that ask: this machine's, named ones and others, of a server with and without a key."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from llmops.serve.gateway.doors.browsers import middleware

LOCAL, NAMED, OTHER = "http://localhost:3000", "https://chat.example.org", "https://evil.example"


def client(*allowed: str, keyless: bool) -> TestClient:
    async def answer(_: Request) -> PlainTextResponse:
        return PlainTextResponse("answer", headers={"x-version": "1"})

    return TestClient(
        Starlette(
            routes=[Route("/chat", answer, methods=["GET", "POST"])],
            middleware=middleware(allowed, keyless=keyless, exposed=["x-version"]),
        )
    )


def preflight(server: TestClient, origin: str) -> tuple[int, str | None]:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-stainless-os",
    }
    reply = server.options("/chat", headers=headers)
    return reply.status_code, reply.headers.get("access-control-allow-origin")


def ask(server: TestClient, origin: str) -> tuple[int, str | None]:
    reply = server.post("/chat", headers={"Origin": origin})
    return reply.status_code, reply.headers.get("access-control-allow-origin")


@pytest.mark.parametrize(
    ("keyless", "allowed", "origin", "asks", "reads"),
    [
        (True, (), LOCAL, True, True),
        (True, (), OTHER, False, False),
        (True, (), "null", False, False),
        (True, (NAMED,), NAMED, True, True),
        (True, (NAMED,), LOCAL, True, True),
        (True, (NAMED,), OTHER, False, False),
        (False, (), LOCAL, True, False),
        (False, (), OTHER, True, False),
        (False, (NAMED,), NAMED, True, True),
        (False, (NAMED,), LOCAL, True, False),
    ],
)
def test_who_may_ask_and_who_may_read(
    keyless: bool, allowed: tuple[str, ...], origin: str, asks: bool, reads: bool
) -> None:
    server = client(*allowed, keyless=keyless)
    named = origin if reads else None
    assert preflight(server, origin) == (200 if reads else 400, named)
    assert ask(server, origin) == (200 if asks else 403, named)


def test_a_client_that_is_no_browser_asks_as_ever() -> None:
    for keyless in (True, False):
        reply = client(keyless=keyless).post("/chat")
        assert (reply.status_code, reply.text) == (200, "answer")
        assert "access-control-allow-origin" not in reply.headers


def test_a_page_may_read_the_version() -> None:
    reply = client(keyless=True).get("/chat", headers={"Origin": LOCAL})
    assert reply.headers["access-control-expose-headers"] == "x-version"
    assert reply.headers["vary"] == "Origin"


def test_a_refusal_names_the_origin_and_the_option() -> None:
    error = client(keyless=True).post("/chat", headers={"Origin": OTHER}).json()["error"]
    assert OTHER in error["message"]
    assert "-C cors=ORIGIN" in error["message"]
    assert error["code"] == "origin_not_allowed"
