"""A running deployment: its parts put together, from the first version to the last answer."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
import socket
from contextlib import suppress
from typing import Any

from llmops.errors import first_line
from llmops.records.serving import Served
from llmops.serve.gateway import server
from llmops.serve.gateway.app import Gateway, is_keyless, with_pages
from llmops.serve.gateway.control import Control, ControlApp
from llmops.serve.gateway.doors import connections
from llmops.serve.gateway.doors.host import is_loopback
from llmops.serve.gateway.metrics import Metrics
from llmops.serve.gateway.parts import Parts
from llmops.serve.gateway.proxy.admission import Admission
from llmops.serve.gateway.proxy.upstream import Upstream
from llmops.serve.gateway.state import State
from llmops.serve.gateway.threads import in_thread
from llmops.serve.gateway.versions.engine import Engine
from llmops.serve.gateway.versions.follow import Follower
from llmops.serve.gateway.versions.keep import cap_logs, keep
from llmops.serve.gateway.versions.probe import probe
from llmops.serve.gateway.versions.router import Router, Target
from llmops.serve.gateway.versions.supervise import Supervisor
from llmops.serve.gateway.versions.swap import Swapper

CONCURRENCY = {"local": 32, "vllm": 256}
"""Requests that each kind of engine answers together."""
DRAIN_SECONDS = 30.0
"""Seconds that answers in progress may take after SIGTERM."""
POLL_SECONDS = 0.05

log = logging.getLogger(__name__)


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
        self.supervisor = Supervisor(
            parts.open_process, self._probe, self._processes, self.upstream, self.router.awaits
        )
        self.swapper = Swapper(
            self.router,
            parts.fetch,
            parts.open_process,
            self._probe,
            self,
            room=parts.versions,
            alone=config.merged,
        )
        self.follower = Follower(
            config.uri,
            self.router,
            self.swapper,
            parts.lookup,
            lambda problem: self.report(note=problem),
            follow=config.follow,
        )
        self.state = State(
            config.name,
            self.router,
            self.admission,
            self.swapper,
            self.follower,
            self.supervisor,
            parts.recorder,
        )
        self.metrics.watch(self.state.figures())

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
        control_socket = socket.create_server(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{control_socket.getsockname()[1]}"
        control = Control(address, secrets.token_urlsafe(32), os.getpid())
        commands = ControlApp(control.token, self.state.describe, self.update)
        servers = [(self._public(), listening), (server.make(commands), control_socket)]
        serving = [asyncio.create_task(one.serve([at])) for one, at in servers]
        writing = asyncio.create_task(self._write_reports())
        self.report(control=control.url, token=control.token)
        try:
            await self._serve()
        finally:
            await self._close()
            for one, _ in servers:
                one.should_exit = True
            await asyncio.gather(*serving, return_exceptions=True)
            await self._reports.join()
            writing.cancel()

    async def _serve(self) -> None:
        """Load the first version, then follow the alias until the end begins."""
        stopped = asyncio.create_task(self._stopping.wait())
        first = asyncio.create_task(self.swapper.swap(self._config.uri))
        await asyncio.wait([first, stopped], return_when=asyncio.FIRST_COMPLETED)
        if not first.done():
            first.cancel()
            return
        first.result()
        await self._reports.join()  # who waits for the deployment reads its record next
        self.router.announced = True
        following = asyncio.create_task(self.follower.run())
        engines = self.swapper.engines
        keeping = [asyncio.create_task(each(engines)) for each in (keep, cap_logs)]
        await stopped
        for task in (following, *keeping):
            task.cancel()
        self.router.closing = True
        self.report(phase="stopping")
        deadline = asyncio.get_running_loop().time() + DRAIN_SECONDS
        while self.router.in_flight and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(POLL_SECONDS)

    async def _close(self) -> None:
        self.router.closing = True
        log.info("stopping")
        await self.supervisor.close()
        await self.swapper.close()
        await self.upstream.close()
        log.info("engines ended")

    def stop(self) -> None:
        """Begin to end: refuse new requests, finish those in flight, then end the engines."""
        self.router.closing = True
        self._stopping.set()

    async def update(self, uri: str | None, follow: bool) -> dict[str, object]:
        """Serve another version; see ``control``.

        Raises:
            LlmopsError: See ``Swapper.swap``.
        """
        while self.follower.moving:  # perhaps to the version that is wanted
            await asyncio.sleep(POLL_SECONDS)
        wanted = uri or self.follower.uri
        before = self.router.current
        served = await self.swapper.swap(wanted)
        if uri is not None:
            self.follower.point(uri, follow=follow)
            await in_thread(self._parts.retarget, uri, follow=follow)
        await self._reports.join()  # the command reads the record next
        changed = before is None or before.served.name != served.name
        return {"version": served.name, "changed": changed, "unproven": served.proof is None}

    def report(self, **changes: Any) -> None:
        """Have changes of the state recorded, in order and off the event loop."""
        self._reports.put_nowait(changes)

    async def _write_reports(self) -> None:
        while True:
            changes = await self._reports.get()
            try:
                await in_thread(self._parts.report, **changes)
            except Exception as error:  # the deployment serves, whatever becomes of its record
                log.warning("state not recorded", extra={"fields": {"why": first_line(error)}})
            finally:
                self._reports.task_done()

    async def _probe(self, engine: Engine, served: Served) -> None:
        await probe(self.upstream, engine, served)

    def phase(self, doing: str) -> None:
        """Take what a swap is doing; see ``Watcher``."""
        self.report(phase=doing)

    def started(self, engine: Engine) -> None:
        """Take an engine that was started; see ``Watcher``."""
        self.supervisor.watch(engine)
        self._processes()

    def flipped(self, target: Target) -> None:
        """Take the version that became the current one; see ``Watcher``."""
        served, kind = target.served, target.engine.process.kind
        self.metrics.current(served.name)
        self.admission.widen(self._config.concurrency or CONCURRENCY[kind])
        log.info("serves", extra={"fields": {"version": served.name, "engine": kind}})
        uri, proof = served.files.uri, served.proof
        self.report(uri=uri, model=served.name, proof=proof, engine=kind)

    def _processes(self) -> None:
        engines = self.swapper.engines.values()
        self.report(processes=[engine.pid for engine in engines if not engine.closed])

    def _public(self) -> server.Server:
        config, parts = self._config, self._parts
        gateway = Gateway(
            config,
            self.router,
            self.admission,
            self.upstream,
            self.metrics,
            parts.guard,
            parts.recorder,
            loopback=is_loopback(config.host),
        )
        app = with_pages(gateway, config, keyless=is_keyless(parts.guard))
        return server.make(
            app,
            http=connections.limited(max(CONCURRENCY.values())),
            ssl_certfile=config.tls_cert,
            ssl_keyfile=config.tls_key,
        )
