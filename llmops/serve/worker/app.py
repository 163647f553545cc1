"""HTTP interface of a deployment: an ASGI application over one engine.

Prompts and answers are never logged, not even on failure.
"""

from __future__ import annotations

import hmac
import json
import logging
import time
import traceback
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from llmops.engine.openai import requests
from llmops.engine.openai.errors import ApiError, RequestError
from llmops.engine.openai.replies import Reply
from llmops.errors import UsageError
from llmops.files import digest
from llmops.records import Answer
from llmops.serve.gateway.doors import browsers
from llmops.serve.worker.queue import Busy, Job, QueuedEngine

MAX_BODY = 1 << 20
"""Bytes of a request's body."""
RETRY_SECONDS = 5
"""Seconds after which a client may try again when the queue is full."""
CLIENT_GONE = 499
"""Status logged for a client that disconnected."""
VERSION_HEADER = "x-llmops-model-version"
NO_CACHE = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}

log = logging.getLogger(__name__)


def create_app(
    engine: QueuedEngine,
    *,
    deployment: str,
    model: str,
    key: str | None = None,
    origins: Sequence[str] = (),
) -> Starlette:
    """Return the ASGI application.

    Args:
        engine: Engine that answers the requests.
        deployment: Name of the deployment; requests may use it as the model's name.
        model: ``NAME/VERSION`` that answers; every response names it.
        key: Key that ``Authorization: Bearer`` must carry on ``/v1``; only its hash is kept.
        origins: Origins of pages that may ask from a browser; without a key, those of this machine
            may as well.
    """
    api = _Api(engine, deployment, model)
    guard = [] if key is None else [Middleware(RequireKey, key_hash=_hash(key))]
    routes = [
        Route("/chat/completions", api.chat, methods=["POST"]),
        Route("/completions", api.complete, methods=["POST"]),
        Route("/models", api.models),
        Route("/models/{name:path}", api.named_model),
    ]
    return Starlette(
        middleware=browsers.middleware(origins, keyless=key is None, exposed=[VERSION_HEADER]),
        routes=[
            Route("/livez", api.live),
            Route("/readyz", api.ready),
            Mount("/v1", routes=routes, middleware=guard),
        ],
        exception_handlers={
            ApiError: _refuse,
            HTTPException: _http_error,
            _ClientGone: _nobody,
        },
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
        """Report readiness: the server answers only once the model is loaded."""
        return JSONResponse({"status": "ready", "deployment": self._deployment})

    async def models(self, _: HttpRequest) -> Response:
        entries = {"object": "list", "data": [self._entry(self._model)]}
        return JSONResponse(entries, headers=self._headers)

    async def named_model(self, http: HttpRequest) -> Response:
        name = http.path_params["name"]
        requests.check_model({"model": name}, self._names)
        return JSONResponse(self._entry(name), headers=self._headers)

    def _entry(self, name: str) -> dict[str, object]:
        return {"id": name, "object": "model", "created": self._created, "owned_by": "llmops"}

    async def chat(self, http: HttpRequest) -> Response:
        return await self._answer(http, chat=True)

    async def complete(self, http: HttpRequest) -> Response:
        return await self._answer(http, chat=False)

    async def _answer(self, http: HttpRequest, *, chat: bool) -> Response:
        body = await _body(http)
        with _failures("messages" if chat else "prompt"):
            fields = requests.read_body(body)
            requests.check_model(fields, self._names)
            request = requests.read_chat(fields) if chat else requests.read_completion(fields)
            reply = Reply(self._model, chat=chat)
            if request.stream:
                job = self._engine.submit(request.prompt, request.samplings[0])
                piece = await job.next()  # refuse a prompt before any header is sent
                events = _events(job, piece, reply, usage=request.include_usage)
                return _EventStream(job, events, self._headers)
            job = self._engine.submit(request.prompt, *request.samplings)
            answers = [await self._whole(http, job) for _ in request.samplings]
            return JSONResponse(reply.whole(answers), headers=self._headers)

    async def _whole(self, http: HttpRequest, job: Job) -> Answer:
        """Return the next whole answer of a job."""
        while not isinstance(piece := await job.next(), Answer):
            if await http.is_disconnected():
                job.cancel()
                raise _ClientGone
        return piece


class _ClientGone(Exception):
    """The client disconnected before its answer."""


@contextmanager
def _failures(param: str) -> Iterator[None]:
    """Raise errors within the block as errors of the protocol.

    Args:
        param: Parameter to name if the engine refuses the prompt.
    """
    try:
        yield
    except (ApiError, _ClientGone):
        raise
    except Busy as error:
        wait = {"Retry-After": str(RETRY_SECONDS)}
        raise ApiError(503, error.message, headers=wait) from None
    except RequestError as error:
        raise ApiError(400, error.message, param=error.param) from None
    except UsageError as error:
        raise ApiError(400, error.message, param=param) from None
    except Exception as error:
        _log_failure(error)
        raise ApiError(500, "the answer could not be generated") from None


class _EventStream(StreamingResponse):
    """Server-sent events; the generation ends with them, however they end."""

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
    for chunk in reply.start():
        yield _event(chunk)
    try:
        while not isinstance(piece, Answer):
            yield _event(reply.piece(piece))
            piece = await job.next()
    except Exception as error:
        _log_failure(error)
        yield _event(ApiError(500, "the answer could not be finished").body())
        return
    for chunk in reply.end(piece, include_usage=usage):
        yield _event(chunk)
    yield "data: [DONE]\n\n"


def _event(content: Mapping[str, object]) -> str:
    return f"data: {json.dumps(content)}\n\n"


async def _body(http: HttpRequest) -> bytes:
    """Return the body; stop reading as soon as it is known to be too large."""
    body = b""
    if int(http.headers.get("content-length") or 0) <= MAX_BODY:
        async for chunk in http.stream():
            body += chunk
            if len(body) > MAX_BODY:
                break
        else:
            return body
    raise ApiError(413, f"the body exceeds {MAX_BODY} bytes")


class RequireKey:
    """Middleware that answers 401 to requests without the key.

    Args:
        app: Application to protect.
        key_hash: SHA-256 of the key.
    """

    def __init__(self, app: ASGIApp, key_hash: str) -> None:
        self._app, self._key_hash = app, key_hash

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401."""
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


async def _nobody(_: HttpRequest, error: Exception) -> Response:
    return Response(status_code=CLIENT_GONE)


async def _http_error(http: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    shaped = ApiError(error.status_code, f"{http.method} {http.url.path}: {error.detail}")
    return JSONResponse(shaped.body(), error.status_code, error.headers)


def _log_failure(error: Exception) -> None:
    """Log type and place of an error, not its message, which may quote a prompt."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    log.error("generation failed: %s\n%s", type(error).__name__, frames)
