"""The routes of a deployment, as one ASGI application; nothing else of an engine can be reached.

Prompts and answers are never logged, not even on failure.
"""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Awaitable, Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from llmops.engine.openai.errors import ApiError, RequestError
from llmops.serve.deployment.config import Config
from llmops.serve.gateway import metrics
from llmops.serve.gateway.doors import body, browsers, connections
from llmops.serve.gateway.doors.host import check_host
from llmops.serve.gateway.hooks import Caller, Exchange, Guard, Recorder
from llmops.serve.gateway.metrics import Metrics
from llmops.serve.gateway.proxy import asked, reply
from llmops.serve.gateway.proxy.admission import Admission
from llmops.serve.gateway.proxy.asked import Asked
from llmops.serve.gateway.proxy.client import Gone, Presence
from llmops.serve.gateway.proxy.relay import Relay, SlowClient
from llmops.serve.gateway.proxy.reply import Reply
from llmops.serve.gateway.proxy.upstream import Upstream
from llmops.serve.gateway.versions.router import Router, Target, unavailable

ANSWERS = ("/v1/chat/completions", "/v1/completions")
MODELS = "/v1/models"
HEALTH = ("/livez", "/readyz")
"""Routes that are asked for again and again; a deployment that is not ready refuses nobody."""
EXPECTED = (None, "refused", "client_left")
"""Outcomes that are no failure of the deployment, and are not logged."""
log = logging.getLogger(__name__)
Handler = Callable[[Scope, Receive, Reply], Awaitable[None]]


class Gateway:
    """The ASGI application.

    Args:
        config: Settings of the deployment.
        router: Knows the version that answers.
        admission: Hands out places at the engine.
        upstream: Connections to the engines.
        metrics: Counts what happens.
        guard: Decides who may ask.
        recorder: Keeps records of what was asked and answered.
        loopback: Whether only this machine can reach the deployment.
    """

    def __init__(
        self,
        config: Config,
        router: Router,
        admission: Admission,
        upstream: Upstream,
        metrics: Metrics,
        guard: Guard,
        recorder: Recorder,
        *,
        loopback: bool,
    ) -> None:
        self._config, self._router, self._admission = config, router, admission
        self._upstream, self._metrics = upstream, metrics
        self._guard, self._recorder, self._loopback = guard, recorder, loopback
        self._created = int(time.time())
        self._routes: dict[str, tuple[str, Handler]] = {
            "/livez": ("GET", self._live),
            "/readyz": ("GET", self._ready),
            "/metrics": ("GET", self._show_metrics),
            MODELS: ("GET", self._models),
            **dict.fromkeys(ANSWERS, ("POST", self._answer)),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        response = Reply(send)
        try:
            await self._handler(scope)(scope, receive, response)
        except ApiError as error:
            await self._refuse(scope, response, error)
        except RequestError as error:
            await self._refuse(scope, response, ApiError(400, error.message, param=error.param))
        except Gone:
            return
        except SlowClient:
            scope["extensions"][connections.ABORT]["abort"]()
        except Exception as error:
            _log_failure(error)
            await self._refuse(scope, response, ApiError(500, "the gateway failed"))

    async def _refuse(self, scope: Scope, response: Reply, error: ApiError) -> None:
        if not response.status:
            if scope["path"] not in HEALTH:
                self._metrics.refused(error.status)
            await response.error(error)

    def _handler(self, scope: Scope) -> Handler:
        """Return what answers a path.

        Raises:
            ApiError: There is no such path (404), or not with this method (405).
        """
        path, method = scope["path"], scope["method"]
        known = self._routes.get(path)
        if known is None and path.startswith(f"{MODELS}/"):
            known = ("GET", self._model)
        if known is None:
            raise ApiError(404, f"{method} {path[:200]!a}: there is no such path")
        allowed, handler = known
        if method != allowed and (method, allowed) != ("HEAD", "GET"):
            raise ApiError(
                405, f"{method[:20]} {path[:200]!a}: allowed: {allowed}", headers={"Allow": allowed}
            )
        return handler

    async def _live(self, scope: Scope, receive: Receive, response: Reply) -> None:
        await response.json({"status": "live"})

    async def _ready(self, scope: Scope, receive: Receive, response: Reply) -> None:
        target = self._router.ready()
        if not self._router.announced:
            raise unavailable("the first version is being recorded")
        served = target.served
        await response.json(
            {
                "status": "ready",
                "deployment": self._config.name,
                "version": served.name,
                "engine": target.engine.process.kind,
                "unproven": served.proof is None,
            }
        )

    async def _show_metrics(self, scope: Scope, receive: Receive, response: Reply) -> None:
        self._admit(Headers(scope=scope))
        await response.whole(200, self._metrics.text(), metrics.CONTENT_TYPE)

    async def _models(self, scope: Scope, receive: Receive, response: Reply) -> None:
        target = self._admitted(scope, response)
        ids = dict.fromkeys((self._config.name, target.served.name))
        data = [self._entry(name) for name in ids]
        await response.json({"object": "list", "data": data})

    async def _model(self, scope: Scope, receive: Receive, response: Reply) -> None:
        self._admitted(scope, response)
        name = scope["path"].removeprefix(f"{MODELS}/")
        self._router.check(name)
        await response.json(self._entry(name))

    def _admitted(self, scope: Scope, response: Reply) -> Target:
        self._admit(Headers(scope=scope))
        return self._named(response)

    def _admit(self, headers: Headers) -> Caller:
        """Return who asks.

        Raises:
            ApiError: Nobody who may (401, 429), or a page that came in by another host's name (421).
        """
        if len(headers.getlist("authorization")) > 1:
            raise ApiError(400, "Authorization: only one such header is allowed")
        caller = self._guard.admit(headers)
        if caller.name is None and self._loopback:
            check_host(headers, self._config.host)
        return caller

    def _named(self, response: Reply) -> Target:
        """Have the response name the current version; return it."""
        target = self._router.ready()
        response.headers[reply.VERSION_HEADER] = target.served.name
        return target

    def _entry(self, name: str) -> dict[str, object]:
        return {"id": name, "object": "model", "created": self._created, "owned_by": "llmops"}

    async def _answer(self, scope: Scope, receive: Receive, response: Reply) -> None:
        headers = Headers(scope=scope)
        body.check_framing(headers)
        caller = self._admit(headers)
        self._named(response)
        raw = await body.read(receive, headers, self._config.max_body)
        request = asked.read(raw, self._config.max_tokens)
        self._router.check(request.model)  # before it waits for a place
        asks = caller.name or (scope.get("client") or ("",))[0]
        async with Presence(receive) as client, self._admission.place(asks):
            with self._router.hold(request.model) as target:
                exchange = Exchange(
                    scope["path"],
                    request.fields,
                    target.served,
                    caller,
                    request.stream,
                    time.time(),
                    headers.get("traceparent"),
                )
                await self._have_answered(exchange, request, target, response, client)

    async def _have_answered(
        self,
        exchange: Exchange,
        request: Asked,
        target: Target,
        response: Reply,
        client: Presence,
    ) -> None:
        """Have a version answer, and keep the record of it."""
        record = self._recorder.begin(exchange)
        response.headers = {reply.VERSION_HEADER: target.served.name, **record.headers}
        began, stall = time.perf_counter(), self._config.stall
        try:
            relay = Relay(self._upstream, target, exchange, record, response, client, stall)
            await relay.run(request)
        except ApiError as error:
            exchange.status = error.status
            raise
        except asyncio.CancelledError:
            exchange.error = "client_left"
            raise
        except Exception:
            exchange.error = exchange.error or "internal"
            raise
        finally:
            exchange.status = response.status or exchange.status
            exchange.seconds = time.perf_counter() - began
            record.end(exchange)
            self._ended(exchange)

    def _ended(self, exchange: Exchange) -> None:
        self._metrics.ended(exchange)
        tokens = (exchange.prompt_tokens or 0) + (exchange.completion_tokens or 0)
        self._guard.spend(exchange.caller, tokens)
        if exchange.error not in EXPECTED:
            fields = {
                "path": exchange.path,
                "version": exchange.served.name,
                "status": exchange.status,
                "error": exchange.error,
                "seconds": round(exchange.seconds, 3),
                "caller": exchange.caller.name,
            }
            log.warning("request failed", extra={"fields": fields})


def is_keyless(guard: Guard) -> bool:
    """Return whether a request without a key is admitted."""
    try:
        return guard.admit(Headers({})).name is None
    except ApiError:
        return False


def with_pages(app: ASGIApp, config: Config, *, keyless: bool) -> ASGIApp:
    """Return the application behind the rules for pages in a browser.

    Args:
        app: The application.
        config: Settings of the deployment, with the origins that may ask.
        keyless: Whether the deployment has no key.
    """
    layers = browsers.middleware(config.cors, keyless=keyless, exposed=reply.EXPOSED)
    for layer in reversed(layers):
        app = layer.cls(app, *layer.args, **layer.kwargs)
    return app


def _log_failure(error: Exception) -> None:
    """Log type and place of an error, not its message, which may quote a prompt."""
    frames = traceback.format_tb(error.__traceback__)
    log.error("gateway failed", extra={"fields": {"type": type(error).__name__, "at": frames[-3:]}})
