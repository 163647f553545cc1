"""Swap what serves: fetch and verify, load, probe, warm up, flip, drain, unload; one at a time.

The version before keeps answering until the flip, and finishes what it began after it. Whatever
fails leaves it as it was.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

from llmops.errors import IntegrityError, LlmopsError, first_line
from llmops.records.serving import Served
from llmops.serve.engines.protocol import EngineProcess
from llmops.serve.gateway.threads import in_thread
from llmops.serve.gateway.versions.engine import Engine, NotNow
from llmops.serve.gateway.versions.fetch import Fetch
from llmops.serve.gateway.versions.router import Router, Target

DRAIN_SECONDS = 600.0
"""Seconds that a version may take to finish its answers after another took its place."""

Open = Callable[[Served], EngineProcess]
Probe = Callable[[Engine, Served], Awaitable[None]]
log = logging.getLogger(__name__)


class Watcher(Protocol):
    """Is notified by a ``Swapper``, on the event loop."""

    def phase(self, doing: str) -> None:
        """Take what a swap is doing; empty at its end."""
        ...

    def started(self, engine: Engine) -> None:
        """Take an engine that was started and is to be watched."""
        ...

    def flipped(self, target: Target) -> None:
        """Take the version that became the current one."""
        ...


class Swapper:
    """Swaps the version of a router.

    Args:
        router: Sends requests to the current version.
        fetch: Returns a version by its URI; it blocks.
        open_process: Starts an engine with a version; it blocks.
        probe: Checks a loaded version.
        watcher: Is notified of what happens.
        room: Versions that one engine may hold besides the one that is coming.
        alone: Whether every version has an engine of its own.
    """

    def __init__(
        self,
        router: Router,
        fetch: Fetch,
        open_process: Open,
        probe: Probe,
        watcher: Watcher,
        *,
        room: int,
        alone: bool = False,
    ) -> None:
        self._router, self._fetch, self._open, self._probe = router, fetch, open_process, probe
        self._watcher, self._room, self._alone = watcher, room, alone
        self.engines: dict[str, Engine] = {}
        """Engines by what they can hold: the digest of a base, or the name of a full model."""
        self.running: str | None = None
        """URI of the swap that is running."""
        self.count = 0
        """Number of finished swaps."""
        self._drains: dict[Target, asyncio.Task[None]] = {}
        self._coming: str | None = None
        self._settled = asyncio.Event()

    async def swap(self, uri: str) -> Served:
        """Serve another version.

        Args:
            uri: ``models:/NAME/VERSION`` or ``models:/NAME@ALIAS``.

        Returns:
            The version that is current now; the same as before if the URI names it.

        Raises:
            NotNow: Another swap is running, or the engine is being restarted.
            LlmopsError: The version cannot be fetched, is not proven, does not load, or fails the
                probe; the version before is still the current one.
        """
        if self.running is not None:
            raise NotNow(f"{uri}: not now, the swap to {self.running} is running")
        self.running = uri
        self._watcher.phase(f"fetching {uri}")
        try:
            served = await in_thread(self._fetch, uri)
            current = self._router.current
            if current is not None and current.served.name == served.name:
                if current.served.files.digest != served.files.digest:
                    raise IntegrityError(f"{served.name}: its bytes differ from those that serve")
                return current.served
            engine = await self._loaded(served)
            self._flip(Target(served, engine))
            return served
        finally:
            self.running = self._coming = None
            self._settled.set()
            self._watcher.phase("")

    async def _loaded(self, served: Served) -> Engine:
        """Return an engine in which a version is loaded and probed."""
        place = self._place(served)
        self._coming = served.name  # if it is about to be unloaded, it stays
        self._settled.clear()
        self._watcher.phase(f"loading {served.name}")
        engine = self.engines.get(place)
        if engine is None:
            process = await in_thread(self._open, served)
            engine = Engine(process, served)
        elif not engine.up:
            raise NotNow(f"{served.name}: not now, the engine is being restarted")
        try:
            await self._make_room(engine, served)
            await engine.load(served)
            self._watcher.phase(f"probing {served.name}")
            await self._probe(engine, served)
        except BaseException as error:
            if await in_thread(engine.problem) and place in self.engines:
                raise NotNow(f"{served.name}: not now, the engine died") from error
            await self._undo(engine, served, known=place in self.engines)
            raise
        if place not in self.engines:
            self.engines[place] = engine
            self._watcher.started(engine)
        return engine

    async def _undo(self, engine: Engine, served: Served, *, known: bool) -> None:
        if served.name in self._router.targets:
            return  # an earlier version, which was still finishing its answers
        with suppress(LlmopsError):
            await (engine.unload(served.name) if known else engine.close())

    def _place(self, served: Served) -> str:
        """Return what an engine must hold to answer for a version."""
        files = served.files
        shared = files.adapter_digest is not None and not self._alone
        return files.base.digest if shared else served.name

    async def _make_room(self, engine: Engine, served: Served) -> None:
        """Wait until an engine that is full has unloaded an earlier version."""
        while served.name not in engine.live and len(engine.live) > self._room:
            drains = [task for one, task in self._drains.items() if one.engine is engine]
            if not drains:
                return
            await asyncio.wait(drains, return_when=asyncio.FIRST_COMPLETED)

    def _flip(self, target: Target) -> None:
        target = self._router.targets.get(target.served.name, target)
        before = self._router.flip(target)
        self.count += 1
        self._watcher.flipped(target)
        if before is not None and before not in self._drains:
            self._drains[before] = asyncio.create_task(self._retire(before))

    async def _retire(self, target: Target) -> None:
        """Unload a version once its answers are complete, unless it became the current one again."""
        name = target.served.name
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(target.idle.wait(), DRAIN_SECONDS)
            while self._coming == name:
                await self._settled.wait()
            if self._router.current is target:
                return
            del self._router.targets[name]
            await self._leave(target.engine, name)
        except LlmopsError as error:
            log.warning("unload", extra={"fields": {"version": name, "why": first_line(error)}})
        finally:
            del self._drains[target]

    async def _leave(self, engine: Engine, name: str) -> None:
        if len(engine.live) > 1:
            await engine.unload(name)
            return
        for place, one in list(self.engines.items()):
            if one is engine:
                del self.engines[place]
        await engine.close()

    async def close(self) -> None:
        """End all engines."""
        for task in self._drains.values():
            task.cancel()
        engines = list(self.engines.values())
        await asyncio.gather(*(engine.close() for engine in engines), return_exceptions=True)
