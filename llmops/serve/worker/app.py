"""HTTP interface of a worker: the protocol of vLLM's server, for the gateway on the same machine.

Prompts and answers are never logged, not even on failure.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
import traceback
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from llmops.engine.local.continuous import ContinuousBatch
from llmops.engine.openai import logprobs, requests
from llmops.engine.openai.errors import ApiError, RequestError
from llmops.engine.openai.replies import Reply
from llmops.engine.requests import DEFAULT_ANSWER_TOKENS
from llmops.errors import LlmopsError, ServeError, UsageError
from llmops.records import Answer
from llmops.serve.engines import files_json
from llmops.serve.worker.keys import RequireKey
from llmops.serve.worker.queue import Busy, Job
from llmops.serve.worker.versions import Versions

MAX_BODY = 16 << 20
"""Bytes of a request's body; the gateway has a limit of its own."""
RETRY_SECONDS = 5
"""Seconds after which a client may try again when too many requests wait."""
CLIENT_GONE = 499
"""Status for a client that disconnected."""

log = logging.getLogger(__name__)


def create_app(
    batch: ContinuousBatch, versions: Versions, *, key: str, most: int = DEFAULT_ANSWER_TOKENS
) -> Starlette:
    """Return the ASGI application.

    Args:
        batch: Generates the answers.
        versions: What answers, by name.
        key: Key that ``Authorization: Bearer`` must carry on ``/v1``; only its hash is kept.
        most: Maximum tokens of an answer whose request sets no maximum.
    """
    api = _Api(batch, versions, most)
    routes = [
        Route("/chat/completions", api.chat, methods=["POST"]),
        Route("/completions", api.complete, methods=["POST"]),
        Route("/models", api.models),
        Route("/load_lora_adapter", api.load, methods=["POST"]),
        Route("/unload_lora_adapter", api.unload, methods=["POST"]),
    ]
    return Starlette(
        routes=[
            Route("/health", api.health),
            Mount("/v1", routes=routes, middleware=[Middleware(RequireKey, key=key)]),
        ],
        exception_handlers={ApiError: _refuse, HTTPException: _http_error, _ClientGone: _nobody},
    )


class _Api:
    def __init__(self, batch: ContinuousBatch, versions: Versions, most: int) -> None:
        self._batch, self._versions, self._most = batch, versions, most
        self._created = int(time.time())

    async def health(self, _: HttpRequest) -> Response:
        """Report readiness: the server answers only once the model is loaded."""
        return JSONResponse({}, 200 if self._batch.alive else 503)

    async def models(self, _: HttpRequest) -> Response:
        common = {"object": "model", "created": self._created, "owned_by": "llmops"}
        entries = [{"id": name, **common} for name in self._versions.names]
        return JSONResponse({"object": "list", "data": entries})

    async def load(self, http: HttpRequest) -> Response:
        fields = requests.read_body(await _body(http))
        with _failures("files"):
            name = _text(fields, "lora_name")
            files = files_json.from_json(fields.get("files") or {})
            await asyncio.to_thread(self._versions.load, name, files)
        return JSONResponse({"loaded": name})

    async def unload(self, http: HttpRequest) -> Response:
        fields = requests.read_body(await _body(http))
        with _failures("lora_name"):
            name = _text(fields, "lora_name")
            await asyncio.to_thread(self._versions.unload, name)
        return JSONResponse({"unloaded": name})

    async def chat(self, http: HttpRequest) -> Response:
        return await self._answer(http, chat=True)

    async def complete(self, http: HttpRequest) -> Response:
        return await self._answer(http, chat=False)

    async def _answer(self, http: HttpRequest, *, chat: bool) -> Response:
        body = await _body(http)
        job = Job(self._batch, self._most)
        watcher = asyncio.create_task(_watch(http, job))
        streams = False
        try:
            with _failures("messages" if chat else "prompt"):
                model, request, top = await asyncio.to_thread(self._submit, body, job, chat)
                reply = Reply(model, chat=chat)
                if request.stream:
                    _, piece = await _unless_gone(job.next(), watcher)
                    streams = True
                    events = _events(job, piece, reply, usage=request.include_usage)
                    return _EventStream(job, events)
                answers = await _unless_gone(job.whole(), watcher)
                noted = None if top is None else [ticket.logprobs for ticket in job.tickets]
                return JSONResponse(reply.whole(answers, noted))
        finally:
            watcher.cancel()
            if not streams:
                job.cancel()

    def _submit(self, body: bytes, job: Job, chat: bool) -> tuple[str, Any, int | None]:
        """Read a request and queue it, in a thread."""
        fields, top = logprobs.read(requests.read_body(body), chat=chat)
        names = self._versions.names
        requests.check_model(fields, names)
        model = str(fields["model"])
        request: Any = requests.read_chat(fields) if chat else requests.read_completion(fields)
        job.submit(names[model], request.prompt, request.samplings, pieces=request.stream, top=top)
        return model, request, top


class _ClientGone(Exception):
    """The client disconnected before its answer."""


async def _watch(http: HttpRequest, job: Job) -> None:
    """Cancel a job as soon as its client disconnects."""
    while (await http.receive())["type"] != "http.disconnect":
        pass
    job.cancel()


async def _unless_gone(answer: Any, watcher: asyncio.Task[None]) -> Any:
    """Wait for an answer; raise ``_ClientGone`` once its client has disconnected."""
    waiting = asyncio.ensure_future(answer)
    await asyncio.wait((waiting, watcher), return_when=asyncio.FIRST_COMPLETED)
    if waiting.done():
        return waiting.result()
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting
    raise _ClientGone


@contextmanager
def _failures(param: str) -> Iterator[None]:
    """Raise errors within the block as errors of the protocol.

    Args:
        param: Parameter to name if the engine refuses the request.
    """
    try:
        yield
    except (ApiError, _ClientGone):
        raise
    except (Busy, ServeError) as error:
        wait = {"Retry-After": str(RETRY_SECONDS)}
        raise ApiError(503, error.message, headers=wait) from None
    except RequestError as error:
        raise ApiError(400, error.message, param=error.param) from None
    except UsageError as error:
        raise ApiError(400, error.message, param=param) from None
    except LlmopsError as error:
        _log_failure(error)
        raise ApiError(500, error.message) from None
    except Exception as error:
        _log_failure(error)
        raise ApiError(500, "the answer could not be generated") from None


class _EventStream(StreamingResponse):
    """Server-sent events; the generation ends with them, however they end."""

    media_type = "text/event-stream"

    def __init__(self, job: Job, events: AsyncIterator[str]) -> None:
        super().__init__(events, headers={"Cache-Control": "no-cache"})
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
            _, piece = await job.next()
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
    body = bytearray()
    async for chunk in http.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise ApiError(413, f"the body exceeds {MAX_BODY} bytes")
    return bytes(body)


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise RequestError(f"{name}: required, a text", param=name)
    return value


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
