"""What a server may do to its client; a whole deployment is in ``test_process``."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import certificates
import pytest
from servers import answering, free_port
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from llmops.engine.openai.replies import Reply
from llmops.errors import ServeError, UsageError
from llmops.records import Answer, Deployment, Sampling
from llmops.serve.deployment import client

HI = [{"role": "user", "content": "hi"}]
ANSWER = Answer("ab", 2, 5, "stop")


def deployment(endpoint: str) -> Deployment:
    return Deployment(
        name="bot",
        uri="models:/bot/1",
        model="bot@v1",
        endpoint=endpoint,
        pid=1,
        created=0.0,
        log=Path("gateway.log"),
    )


@contextmanager
def server(answer: Any) -> Iterator[tuple[Deployment, list[Request]]]:
    """A server that gives one response to everything, and the requests that it got."""
    seen: list[Request] = []

    async def respond(request: Request) -> Response:
        await request.body()
        seen.append(request)
        return answer if isinstance(answer, Response) else answer()

    with answering(
        Starlette(routes=[Route("/{path:path}", respond, methods=["GET", "POST"])])
    ) as url:
        yield deployment(url), seen


def events(*chunks: dict[str, Any], end: str = "data: [DONE]\n\n") -> StreamingResponse:
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return StreamingResponse(iter([*lines, end]), media_type="text/event-stream")


def streamed(found: Deployment) -> list[str | Answer]:
    return list(client.ask(found, HI, Sampling(4), stream=True))


def test_an_answer_and_what_is_sent_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("LLMOPS_API_KEY", "k3y")
    whole = JSONResponse(Reply("bot@v1").whole([ANSWER]))
    with server(whole) as (found, seen):
        assert client.ask(found, HI, Sampling(None, 0.5, seed=3, stop=("x",))) == ANSWER
    (request,) = seen
    assert request.url.path == "/v1/chat/completions"
    assert request.headers["authorization"] == "Bearer k3y"
    assert json.loads(request._body) == {
        "model": "bot",
        "messages": HI,
        "max_tokens": None,
        "temperature": 0.5,
        "top_p": 1.0,
        "seed": 3,
        "stop": ["x"],
    }


def test_a_stream() -> None:
    chunks = list(Reply("bot@v1").chunks(["a", "b", ANSWER], include_usage=True))
    with server(events(*chunks)) as (found, seen):
        assert streamed(found) == ["a", "b", ANSWER]
    sent = json.loads(seen[0]._body)
    assert (sent["stream"], sent["stream_options"]) == (True, {"include_usage": True})


def test_a_body_is_passed_on_as_it_is() -> None:
    said = {"anything": 1}
    with server(JSONResponse(said)) as (found, seen):
        assert client.chat(found, {"messages": HI, "no_parameter": 1}) == said
    assert json.loads(seen[0]._body)["no_parameter"] == 1


@pytest.mark.parametrize("parts", [1, 3, 4])
def test_a_stream_that_breaks_off(parts: int) -> None:
    chunks = list(Reply("bot@v1").chunks(["a", "b", ANSWER], include_usage=True))[:parts]
    with (
        server(events(*chunks, end="")) as (found, _),
        pytest.raises(
            ServeError, match="bot: the stream ended before the answer was complete"
        ) as failed,
    ):
        streamed(found)
    assert failed.value.next_command == "less gateway.log"


def test_a_connection_that_breaks_in_the_middle() -> None:
    def breaking() -> Response:
        return Response(
            b"data: {", headers={"content-length": "500"}, media_type="text/event-stream"
        )

    with server(breaking) as (found, _), pytest.raises(ServeError, match="does not answer"):
        streamed(found)


def test_an_error_in_the_stream() -> None:
    error = {"error": {"message": "no memory", "type": "server_error", "param": None}}
    first = Reply("bot@v1").piece("a")
    with (
        server(events(first, error, end="")) as (found, _),
        pytest.raises(ServeError, match="deployment bot: no memory"),
    ):
        streamed(found)


@pytest.mark.parametrize(
    ("response", "says"),
    [
        (JSONResponse({"error": {"message": "too long"}}, 400), "refused with 400: too long"),
        (JSONResponse({"error": {"message": "full"}}, 503), "refused with 503: full"),
        (JSONResponse([1], 500), "refused with 500: Internal Server Error"),
        (PlainTextResponse("<html>", 502), "refused with 502: Bad Gateway"),
    ],
)
def test_a_refusal_is_reported_at_once(response: Response, says: str) -> None:
    with server(response) as (found, seen), pytest.raises(ServeError, match=says):
        client.ask(found, HI)
    assert len(seen) == 1, "asked once: a deployment says itself when to come again"


def test_a_wrong_key_names_the_variable() -> None:
    refusal = JSONResponse({"error": {"message": "missing or wrong key"}}, 401)
    with server(refusal) as (found, _), pytest.raises(ServeError) as failed:
        client.ask(found, HI)
    assert failed.value.next_command == client.SET_KEY
    assert "LLMOPS_API_KEY is not set" in str(failed.value)


def test_nobody_there() -> None:
    found = deployment(f"http://127.0.0.1:{free_port()}")
    for attempt in (lambda: client.ask(found, HI), lambda: streamed(found)):
        with pytest.raises(ServeError, match=r"does not answer \(.*refused") as failed:
            attempt()
        assert failed.value.next_command == "mlflow deployments get -t llmops --name bot"
    assert not client.is_ready(found.endpoint)


@pytest.mark.parametrize(("status", "ready"), [(200, True), (503, False)])
def test_readiness(status: int, ready: bool) -> None:
    with server(Response(status_code=status)) as (found, seen):
        assert client.is_ready(found.endpoint) is ready
    assert seen[0].url.path == "/readyz"


def test_a_key_of_the_caller_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMOPS_API_KEY", "k3y")
    with server(JSONResponse(Reply("bot@v1").whole([ANSWER]))) as (found, seen):
        client.ask(found, HI, key="other")
    chunks = list(Reply("bot@v1").chunks([ANSWER], include_usage=True))
    with server(events(*chunks)) as (found, more):
        list(client.ask(found, HI, Sampling(4), stream=True, key="other"))
    assert {request.headers["authorization"] for request in seen + more} == {"Bearer other"}


def test_a_key_that_no_header_carries_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMOPS_API_KEY", "schlüssel-ключ")
    with (
        server(Response()) as (found, seen),
        pytest.raises(UsageError, match="LLMOPS_API_KEY: no HTTP header carries the key"),
    ):
        client.ask(found, HI)
    assert seen == []


def test_a_certificate_is_the_only_one_that_is_trusted(tmp_path: Path) -> None:
    own, other = (certificates.make(tmp_path, name) for name in ("own", "other"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*own)
    body = json.dumps(Reply("bot@v1").whole([ANSWER])).encode()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Logs nothing."""

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as encrypted:
        encrypted.socket = context.wrap_socket(encrypted.socket, server_side=True)
        threading.Thread(target=encrypted.serve_forever, daemon=True).start()
        found = deployment(f"https://127.0.0.1:{encrypted.server_port}")
        trusting = replace(found, certificate=own.certificate)
        assert client.ask(trusting, HI) == ANSWER
        assert client.is_ready(found.endpoint, own.certificate)
        assert not client.is_ready(found.endpoint, other.certificate)
        with pytest.raises(ServeError, match=r"does not answer \(.*certificate"):
            client.ask(replace(found, certificate=other.certificate), HI)
        gone = replace(found, certificate=str(tmp_path / "gone.pem"))
        with pytest.raises(ServeError, match=r"its certificate .*gone\.pem cannot be read"):
            client.ask(gone, HI)
        assert not client.is_ready(found.endpoint, gone.certificate)
        encrypted.shutdown()
