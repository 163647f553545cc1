"""A running deployment: its parts put together, from the first version to the last answer."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import secrets
import signal
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any

import uvicorn

from llmops.errors import first_line
from llmops.records.serving import Served
from llmops.serve.deployment.config import Config
from llmops.serve.gateway.app import Gateway, is_keyless, with_pages
from llmops.serve.gateway.control import Control, ControlApp
from llmops.serve.gateway.doors import connections
from llmops.serve.gateway.hooks import Guard, Keyless, Recorder, Unrecorded
from llmops.serve.gateway.metrics import Live, Metrics
from llmops.serve.gateway.proxy.admission import Admission
from llmops.serve.gateway.proxy.upstream import Upstream
from llmops.serve.gateway.versions.engine import Engine
from llmops.serve.gateway.versions.fetch import Fetch
from llmops.serve.gateway.versions.follow import Follower, Lookup
from llmops.serve.gateway.versions.probe import probe
from llmops.serve.gateway.versions.router import Router, Target
from llmops.serve.gateway.versions.supervise import Supervisor
from llmops.serve.gateway.versions.swap import Open, Swapper

CONCURRENCY = {"local": 32, "vllm": 256}
"""Requests that each kind of engine answers together."""
DRAIN_SECONDS = 30.0
"""Seconds that answers in progress may take after SIGTERM."""
EXIT_SECONDS = 2
"""Seconds that connections may take to close after the last answer."""
POLL_SECONDS = 0.05

log = logging.getLogger(__name__)


def _ignore(**changes: Any) -> None:
    pass


@dataclass
class Parts:
    """What a deployment is made of; whatever other rooms provide comes in here.

    Attributes:
        config: The settings.
        fetch: Returns a version by its URI; it blocks.
        open_process: Starts an engine with a version; it blocks.
        lookup: Returns the version of a model's alias; it blocks.
        versions: Versions that one engine may hold, besides one that is coming.
        guard: Decides who may ask.
        recorder: Keeps records of what was asked and answered.
        report: Called in a thread with what changed: ``phase``, ``uri``, ``model``, ``proof``,
            ``engine``, ``processes``, ``control``, ``token``, ``note``.
    """

    config: Config
    fetch: Fetch
    open_process: Open
    lookup: Lookup
    versions: int = 4
    guard: Guard = field(default_factory=Keyless)
    recorder: Recorder = field(default_factory=Unrecorded)
    report: Callable[..., None] = _ignore


class Server(uvicorn.Server):
    """A server of uvicorn's beside others in one loop: signals are not its business."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        """Leave the signals alone."""
        return nullcontext()


class Service:
    """A running deployment; to be made on the event loop.

    Args:
        parts: What it is made of.
    """

    def __init__(self, parts: Parts) -> None:
        config = self._config = parts.config
        self._parts = parts
        self._stopping = asyncio.Event()
        self._reports: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.router = Router(config.name)
        self.upstream = Upstream()
        self.metrics = Metrics()
        self.admission = Admission(config.concurrency or CONCURRENCY["local"], config.queue)
        self.supervisor = Supervisor(parts.open_process, self._probe)
        self.swapper = Swapper(
            self.router,
            parts.fetch,
            parts.open_process,
            self._probe,
            self._started,
            self._flipped,
            room=parts.versions,
            alone=config.merged,
        )
        self.follower = Follower(
            config.uri, self.router, self.swapper, parts.lookup, follow=config.follow
        )
        self.metrics.watch(self._live())

    async def run(self, listening: socket.socket) -> None:
        """Answer requests on a socket until SIGTERM or a command ends it.

        Args:
            listening: Listening socket; it is closed at the end.

        Raises:
            LlmopsError: The first version cannot be served.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            with suppress(NotImplementedError):  # Windows
                asyncio.get_running_loop().add_signal_handler(number, self.stop)
        token = secrets.token_urlsafe(32)
        control_socket = socket.create_server(("127.0.0.1", 0))
        servers = [
            (self._public(), listening),
            (_server(ControlApp(token, self.status, self.update, self.stop)), control_socket),
        ]
        tasks = [asyncio.create_task(one.serve([at])) for one, at in servers]
        tasks.append(asyncio.create_task(self._write_reports()))
        control = Control(f"http://127.0.0.1:{control_socket.getsockname()[1]}", token, os.getpid())
        self.report(control=control.url, token=control.token)
        try:
            await self._serve()
        finally:
            await self._close()
            for server, _ in servers:
                server.should_exit = True
            await asyncio.gather(*tasks[:-1], return_exceptions=True)
            await self._reports.join()
            tasks[-1].cancel()

    async def _serve(self) -> None:
        """Load the first version, then follow the alias until the end begins."""
        stopped = asyncio.create_task(self._stopping.wait())
        self.report(phase=f"loading {self._config.uri}")
        first = asyncio.create_task(self.swapper.swap(self._config.uri))
        await asyncio.wait([first, stopped], return_when=asyncio.FIRST_COMPLETED)
        if not first.done():
            first.cancel()
            return
        first.result()
        following = asyncio.create_task(self.follower.run())
        await stopped
        following.cancel()
        self.router.closing = True
        self.report(phase="stopping")
        deadline = asyncio.get_running_loop().time() + DRAIN_SECONDS
        while self.router.in_flight and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(POLL_SECONDS)

    async def _close(self) -> None:
        self.router.closing = True
        await self.supervisor.close()
        await self.swapper.close()
        await self.upstream.close()

    def stop(self) -> None:
        """Begin to end: refuse new requests, finish those in flight, then end the engines."""
        self.router.closing = True
        self._stopping.set()

    async def update(self, uri: str | None, follow: bool) -> dict[str, object]:
        """Serve another version; see ``control``.

        Raises:
            LlmopsError: See ``Swapper.swap``.
        """
        while uri is None and self.swapper.running:  # perhaps the alias that is being followed
            await asyncio.sleep(POLL_SECONDS)
        wanted = uri or self.follower.uri
        before = self.router.current
        self.report(phase=f"loading {wanted}")
        try:
            served = await self.swapper.swap(wanted)
        finally:
            self.report(phase="")
        if uri is not None:
            self.follower.point(uri, follow=follow)
        changed = before is None or before.served.name != served.name
        return {"version": served.name, "changed": changed, "unproven": served.proof is None}

    def status(self) -> dict[str, object]:
        """Return the state for people and commands."""
        current = self.router.current
        return {
            "deployment": self._config.name,
            "version": current and current.served.name,
            "unproven": current is not None and current.served.proof is None,
            "ready": bool(current and current.engine.up and not self.router.closing),
            "engines": [_engine_status(engine) for engine in self.swapper.engines.values()],
            "uri": self.follower.uri,
            "follows": self.follower.follows,
            "problem": self.supervisor.problem or self.follower.problem,
            "swap": self.swapper.running,
            "swaps": self.swapper.count,
            "in_flight": {name: one.in_flight for name, one in self.router.targets.items()},
            "waiting": self.admission.waiting,
            "dropped_traces": self._parts.recorder.dropped,
        }

    def report(self, **changes: Any) -> None:
        """Have changes of the state recorded, in order and off the event loop."""
        self._reports.put_nowait(changes)

    async def _write_reports(self) -> None:
        while True:
            changes = await self._reports.get()
            try:
                await asyncio.to_thread(self._parts.report, **changes)
            except Exception as error:  # the deployment serves, whatever becomes of its record
                log.warning("state not recorded", extra={"fields": {"why": first_line(error)}})
            finally:
                self._reports.task_done()

    async def _probe(self, engine: Engine, served: Served) -> None:
        await probe(self.upstream, engine, served)

    def _started(self, engine: Engine) -> None:
        self.supervisor.watch(engine)

    def _flipped(self, target: Target) -> None:
        served, kind = target.served, target.engine.process.kind
        self.metrics.current(served.name)
        self.admission.widen(self._config.concurrency or CONCURRENCY[kind])
        processes = [engine.process.pid for engine in self.swapper.engines.values()]
        log.info("serves", extra={"fields": {"version": served.name, "engine": kind}})
        self.report(
            phase="",
            uri=served.files.uri,
            model=served.name,
            proof=served.proof,
            engine=kind,
            processes=processes,
        )

    def _public(self) -> Server:
        config, parts = self._config, self._parts
        gateway = Gateway(
            config,
            self.router,
            self.admission,
            self.upstream,
            self.metrics,
            parts.guard,
            parts.recorder,
            loopback=_is_loopback(config.host),
        )
        app = with_pages(gateway, config, keyless=is_keyless(parts.guard))
        return _server(
            app,
            http=connections.limited(max(CONCURRENCY.values())),
            ssl_certfile=config.tls_cert,
            ssl_keyfile=config.tls_key,
        )

    def _live(self) -> Live:
        router, admission, recorder = self.router, self.admission, self._parts.recorder
        return Live(
            {
                ("llmops_waiting", "Requests that wait for a place."): lambda: admission.waiting,
                ("llmops_ready", "1 while requests are answered."): lambda: bool(
                    router.current and router.current.engine.up and not router.closing
                ),
            },
            lambda: {name: target.in_flight for name, target in router.targets.items()},
            {
                ("llmops_swaps", "Versions that became the current one."): lambda: (
                    self.swapper.count
                ),
                ("llmops_engine_restarts", "Engines that were brought back."): lambda: sum(
                    engine.restarts for engine in self.swapper.engines.values()
                ),
                ("llmops_dropped_traces", "Answers without a trace: the queue was full."): lambda: (
                    recorder.dropped
                ),
            },
        )


def _server(app: Any, **options: Any) -> Server:
    settings = uvicorn.Config(
        app,
        **{"http": "httptools", **options},
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=connections.IDLE_SECONDS,
        timeout_graceful_shutdown=EXIT_SECONDS,
    )
    return Server(settings)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _engine_status(engine: Engine) -> dict[str, object]:
    process = engine.process
    return {
        "kind": process.kind,
        "pid": process.pid,
        "base": process.base_digest,
        "versions": sorted(engine.live),
        "up": engine.up,
        "restarts": engine.restarts,
        "log": str(process.log),
    }
