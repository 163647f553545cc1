"""The application that takes deliveries, and the one worker that gates a version at a time.

A delivery is answered at once: MLflow waits seconds, a gate takes minutes. The version's tags say what
came of it, also after a restart: a delivery that is named there is not worked on again.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from llmops.errors import EXIT_INCONCLUSIVE, EXIT_OK, EXIT_REJECTED, LlmopsError
from llmops.progress import say
from llmops.serve.webhook.delivery import Delivery, RefusedError, verified, version_of
from llmops.store import registry, tags

STATUS = {EXIT_OK: "PASSED", EXIT_REJECTED: "REJECTED", EXIT_INCONCLUSIVE: "INCONCLUSIVE"}
LARGEST = 64 * 1024
"""Bytes of a delivery; MLflow's own have some hundred."""
MOST_WAITING, MOST_KNOWN = 100, 10_000

Work = Callable[[str], int]
"""Gates ``models:/NAME/VERSION``, and returns the exit code."""


class Inbox:
    """Takes deliveries about one model, and gates its versions one after another.

    Args:
        model: The registered model.
        alias: The alias of its candidates.
        secret: Secret of the webhook.
        work: What gates a version.
    """

    def __init__(self, model: str, alias: str, secret: str, work: Work) -> None:
        self._model, self._alias, self._secret, self._work = model, alias, secret, work
        self._known: OrderedDict[str, None] = OrderedDict()
        self._waiting: queue.Queue[tuple[Delivery, str] | None] = queue.Queue(MOST_WAITING)
        self._lock = threading.Lock()
        self._worker = threading.Thread(target=self._serve, name="gate", daemon=True)

    def app(self) -> Starlette:
        """Return the application, and start the worker."""
        self._worker.start()
        return Starlette(
            routes=[
                Route("/webhook", self._take, methods=["POST"]),
                Route("/livez", lambda _: Response("ok"), methods=["GET"]),
            ]
        )

    def close(self) -> None:
        """Let the worker end after the version that it gates; what waits is dropped."""
        while True:
            try:
                self._waiting.get_nowait()
            except queue.Empty:
                break
        self._waiting.put(None)
        self._worker.join()

    async def _take(self, request: Request) -> Response:
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > LARGEST:
                return JSONResponse({"error": "too large"}, 413)
        try:
            delivery = verified(request.headers, body, self._secret, time.time())
        except RefusedError as error:
            return JSONResponse({"error": str(error)}, 401)
        status, code = self._accept(delivery)
        return JSONResponse({"status": status}, code)

    def _accept(self, delivery: Delivery) -> tuple[str, int]:
        """Queue a delivery, unless it was seen before or asks nothing."""
        number = version_of(delivery, self._model, self._alias)
        if number is None:
            return "ignored", 200
        with self._lock:
            if delivery.id in self._known:
                return "known", 200
            try:
                self._waiting.put_nowait((delivery, number))
            except queue.Full:
                return "full", 503  # MLflow tries again
            self._known[delivery.id] = None
            if len(self._known) > MOST_KNOWN:
                self._known.popitem(last=False)
        return "queued", 202

    def _serve(self) -> None:
        while (taken := self._waiting.get()) is not None:
            try:
                self._gate(*taken)
            except (LlmopsError, OSError) as error:  # the next delivery may find the store again
                say(f"webhook: delivery {taken[0].id}: {error}")

    def _gate(self, delivery: Delivery, number: str) -> None:
        """Gate a version and write what came of it, unless that was done for this delivery."""
        uri = f"models:/{self._model}/{number}"
        if registry.version_record(self._model, number).tags.get(tags.DELIVERY) == delivery.id:
            return
        say(f"webhook: gating {uri}")
        status = STATUS.get(self._work(uri), "ERROR")
        registry.annotate_version(
            self._model, number, {tags.GATED: status, tags.DELIVERY: delivery.id}
        )
        say(f"webhook: {uri}: {status}")
