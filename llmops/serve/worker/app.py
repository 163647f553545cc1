"""The HTTP face of a deployment: an ASGI application over one engine.

Prompts and answers are never logged, not even when something fails.
"""

from __future__ import annotations

import hmac
import json
import logging
import time
import traceback
from collections.abc import AsyncIterator, Mapping

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from llmops.errors import UsageError
from llmops.files import digest
from llmops.records import Answer
from llmops.serve.worker.queue import Busy, Job, QueuedEngine
from llmops.serve.worker.reply import Reply
from llmops.serve.worker.request import ApiError, parse

MAX_BODY = 1 << 20
RETRY_SECONDS = 5
CLIENT_GONE = 499
VERSION_HEADER = "x-llmops-model-version"
NO_CACHE = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}

log = logging.getLogger(__name__)


def create_app(
    engine: QueuedEngine, *, deployment: str, model: str, key: str | None = None
) -> Starlette:
    """The application.

    Args:
        engine: Answers the requests.
        deployment: Name of the deployment; requests may call the model so.
        model: ``name/version`` that answers; every response carries it.
        key: What ``Authorization: Bearer`` must hold on ``/v1``; only its hash is kept.
    """
    api = _Api(engine, deployment, model)
    guard = [] if key is None else [Middleware(RequireKey, key_hash=_hash(key))]
    routes = [
        Route("/chat/completions", api.chat, methods=["POST"]),
        Route("/completions", api.complete, methods=["POST"]),
        Route("/models", api.models),
    ]
    return Starlette(
        routes=[
            Route("/livez", api.live),
            Route("/readyz", api.ready),
            Mount("/v1", routes=routes, middleware=guard),
        ],
        exception_handlers={ApiError: _refuse, HTTPException: _http_error},
    )


class _Api:
    def __init__(self, engine: QueuedEngine, deployment: str, model: str) -> None:
        self._engine, self._deployment, self._model = engine, deployment, model
        self._names = {deployment, model, model.partition("/")[0]}
        self._created = int(time.time())
        self._headers = {VERSION_HEADER: model}

    async def live(self, _: HttpRequest) -> Response:
        return JSONResponse({"status": "live"})

    async def ready(self, _: HttpRequest) -> Response:
        """The server listens only once the model is loaded."""
        return JSONResponse({"status": "ready", "deployment": self._deployment})

    async def models(self, _: HttpRequest) -> Response:
        entry = {
            "id": self._model,
            "object": "model",
            "created": self._created,
            "owned_by": "llmops",
        }
        return JSONResponse({"object": "list", "data": [entry]}, headers=self._headers)

    async def chat(self, http: HttpRequest) -> Response:
        return await self._answer(http, chat=True)

    async def complete(self, http: HttpRequest) -> Response:
        return await self._answer(http, chat=False)

    async def _answer(self, http: HttpRequest, *, chat: bool) -> Response:
        asked = parse(await _body(http), chat=chat, names=self._names)
        reply = Reply(self._model, chat=chat)
        try:
            job = self._engine.submit(asked.prompt, asked.sampling)
            piece = await job.next()  # a prompt that is refused is refused before any header
            if asked.stream:
                events = _events(job, piece, reply, usage=asked.include_usage)
                return _EventStream(job, events, self._headers)
            while not isinstance(piece, Answer):
                if await http.is_disconnected():
                    job.cancel()
                    return Response(status_code=CLIENT_GONE)
                piece = await job.next()
        except Busy as error:
            wait = {"Retry-After": str(RETRY_SECONDS)}
            raise ApiError(503, error.message, headers=wait) from None
        except UsageError as error:
            raise ApiError(400, error.message, param="messages" if chat else "prompt") from None
        except Exception as error:
            _log_failure(error)
            raise ApiError(500, "the answer could not be generated") from None
        return JSONResponse(reply.whole(piece), headers=self._headers)


class _EventStream(StreamingResponse):
    """Server-sent events; however they end, the generation ends with them."""

    media_type = "text/event-stream"

    def __init__(self, job: Job, events: AsyncIterator[str], headers: Mapping[str, str]) -> None:
        super().__init__(events, headers={**headers, **NO_CACHE})
        self._job = job

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._job.cancel()


async def _events(
    job: Job, piece: str | Answer, reply: Reply, *, usage: bool
) -> AsyncIterator[str]:
    if start := reply.start():
        yield _event(start)
    try:
        while not isinstance(piece, Answer):
            yield _event(reply.piece(piece))
            piece = await job.next()
    except Exception as error:
        _log_failure(error)
        yield _event(ApiError(500, "the answer could not be finished").body())
        return
    yield _event(reply.end(piece))
    if usage:
        yield _event(reply.usage(piece))
    yield "data: [DONE]\n\n"


def _event(content: Mapping[str, object]) -> str:
    return f"data: {json.dumps(content)}\n\n"


async def _body(http: HttpRequest) -> bytes:
    """The body, given up as soon as it is known to be too large."""
    body = b""
    if int(http.headers.get("content-length") or 0) <= MAX_BODY:
        async for chunk in http.stream():
            body += chunk
            if len(body) > MAX_BODY:
                break
        else:
            return body
    raise ApiError(413, f"the body has more than {MAX_BODY} bytes")


class RequireKey:
    """Lets a request pass that knows the key.

    Args:
        app: What is guarded.
        key_hash: SHA-256 of the key.
    """

    def __init__(self, app: ASGIApp, key_hash: str) -> None:
        self._app, self._key_hash = app, key_hash

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 401 in place of the application."""
        scheme, _, token = HttpRequest(scope).headers.get("authorization", "").partition(" ")
        known = hmac.compare_digest(_hash(token.strip()), self._key_hash)
        if scheme.lower() == "bearer" and known:
            await self._app(scope, receive, send)
            return
        message = "missing or wrong key; send the header `Authorization: Bearer KEY`"
        error = ApiError(401, message, code="invalid_api_key")
        response = JSONResponse(error.body(), 401, {"WWW-Authenticate": "Bearer"})
        await response(scope, receive, send)


def _hash(key: str) -> str:
    return digest.of_bytes(key.encode())


async def _refuse(_: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return JSONResponse(error.body(), error.status, error.headers)


async def _http_error(http: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    shaped = ApiError(error.status_code, f"{http.method} {http.url.path}: {error.detail}")
    return JSONResponse(shaped.body(), error.status_code, error.headers)


def _log_failure(error: Exception) -> None:
    """Where it failed and how, without the message, which may quote a prompt."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    log.error("generation failed: %s\n%s", type(error).__name__, frames)
