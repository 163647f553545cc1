"""Bring engines back: a process that died or hangs is replaced, with every version loaded in it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress

import psutil

from llmops.errors import LlmopsError, first_line
from llmops.models.vllm_limits import rank_of
from llmops.records.serving import Served
from llmops.serve.gateway.proxy.upstream import Upstream
from llmops.serve.gateway.threads import in_thread
from llmops.serve.gateway.versions.engine import Engine
from llmops.serve.gateway.versions.pulse import Pulse
from llmops.serve.gateway.versions.swap import Open, Probe

CHECK_SECONDS = 0.5
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
"""Seconds between two attempts to start an engine; each pause is twice the one before."""
STEADY_SECONDS = 60.0
"""Seconds after which a restarted engine counts as sound again."""

log = logging.getLogger(__name__)


class Supervisor:
    """Watches engines.

    Args:
        open_process: Starts an engine with a version; it blocks.
        probe: Checks a loaded version.
        changed: Called when a process has ended for good, or another took its place.
        upstream: Connections to the engines.
        awaited: Returns whether requests wait for an engine.
    """

    def __init__(
        self,
        open_process: Open,
        probe: Probe,
        changed: Callable[[], None],
        upstream: Upstream,
        awaited: Callable[[Engine], bool],
    ) -> None:
        self._open, self._probe, self._changed = open_process, probe, changed
        self._upstream, self._awaited = upstream, awaited
        self._tasks: set[asyncio.Task[None]] = set()
        self.problem: str | None = None
        """Why an engine could not be restarted last; ``None`` once it is."""

    def watch(self, engine: Engine) -> None:
        """Watch an engine until it is closed."""
        task = asyncio.create_task(self._watch(engine))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stop watching."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _watch(self, engine: Engine) -> None:
        pause, since = FIRST_PAUSE, time.monotonic()
        pulse = Pulse(engine, self._upstream, self._awaited)
        while not engine.closed:
            with suppress(TimeoutError):
                await asyncio.wait_for(engine.suspected.wait(), CHECK_SECONDS)
            engine.suspected.clear()
            problem, kind = await in_thread(engine.problem), "engine died"
            if problem is None and not engine.closed:
                problem, kind = await pulse.problem(), "engine hangs"
            if problem is None or engine.closed:
                continue
            if time.monotonic() - since > STEADY_SECONDS:
                pause = FIRST_PAUSE
            log.error(kind, extra={"fields": {"why": problem}})
            if kind == "engine hangs":
                _kill(engine)
            pause = await self._restart(engine, pause)
            since = time.monotonic()
            self._changed()
        self._changed()

    async def _restart(self, engine: Engine, pause: float) -> float:
        """Replace the process, however many attempts it takes; return the next pause in seconds."""
        engine.up = False
        async with engine.changing:
            while not engine.closed:
                await in_thread(_end, engine)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
                try:
                    await self._start(engine)
                except LlmopsError as error:
                    self.problem = first_line(error)
                    log.error("engine not restarted", extra={"fields": {"why": self.problem}})
                    continue
                engine.restarts += 1
                engine.up, self.problem = True, None
                log.info("engine restarted", extra={"fields": {"versions": sorted(engine.live)}})
                return pause
        await in_thread(_end, engine)
        return pause

    async def _start(self, engine: Engine) -> None:
        # A server of vLLM takes no higher rank than that of the version it starts with.
        first, *others = sorted(engine.live.values(), key=_rank, reverse=True)
        engine.replace(await in_thread(self._open, first))
        for served in others:
            await in_thread(engine.process.load, served)
        for served in (first, *others):
            await self._probe(engine, served)


def _rank(served: Served) -> int:
    try:
        return rank_of(served.files.adapter_dir)
    except (LlmopsError, OSError, KeyError):  # the engine will say what is wrong with the adapter
        return 0


def _kill(engine: Engine) -> None:
    """Kill a process that hangs: it would not end by itself, and requests wait until it has ended."""
    engine.up = False
    with suppress(psutil.NoSuchProcess):
        psutil.Process(engine.pid).kill()


def _end(engine: Engine) -> None:
    with suppress(LlmopsError):
        engine.process.close()
