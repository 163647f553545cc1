"""An engine as the gateway sees it: its current process, and the versions that are loaded in it."""

from __future__ import annotations

import asyncio

from llmops.errors import IntegrityError, LlmopsError, ServeError
from llmops.records.serving import Served
from llmops.serve.engines.protocol import EngineProcess
from llmops.serve.gateway.threads import in_thread


class NotNow(ServeError):
    """A change that may succeed later: another one is running, or the engine is being restarted."""


class Engine:
    """One engine; when its process dies, another one takes its place.

    Args:
        process: The process, in which ``first`` is loaded.
        first: A version.
    """

    def __init__(self, process: EngineProcess, first: Served) -> None:
        self.live = {first.name: first}
        """Versions that are loaded, by name."""
        self.up = True
        """Whether requests may be sent."""
        self.closed = False
        self.restarts = 0
        self.changing = asyncio.Lock()
        """Held while a version is loaded or unloaded, or the process is replaced."""
        self.suspected = asyncio.Event()
        """Set when a request could not reach the process."""
        self._bytes = {first.name: first.files.digest}
        self.replace(process)

    def replace(self, process: EngineProcess) -> None:
        """Send requests to another process from now on."""
        self.process = process
        self.address, self.key, self.pid = process.address, process.key, process.pid

    def suspect(self) -> None:
        """Have the process checked at once."""
        self.suspected.set()

    def problem(self) -> str | None:
        """Return why the process has ended, ``None`` if it runs; it blocks."""
        try:
            self.process.check()
        except LlmopsError as error:
            return error.message
        return None

    async def load(self, served: Served) -> None:
        """Load a version, if it is not loaded.

        Raises:
            IntegrityError: Its name has stood for other bytes.
            LlmopsError: The engine refuses it, or does not answer.
        """
        digest = served.files.digest
        if self._bytes.setdefault(served.name, digest) != digest:
            raise IntegrityError(f"{served.name}: its bytes differ from those that were served")
        async with self.changing:
            if served.name not in self.live:
                await in_thread(self.process.load, served)
                self.live[served.name] = served

    async def unload(self, name: str) -> None:
        """Forget a version, if it is loaded.

        Raises:
            ServeError: The engine does not answer.
        """
        async with self.changing:
            if self.live.pop(name, None) is not None:
                await in_thread(self.process.unload, name)

    async def close(self) -> None:
        """End the process for good."""
        self.up, self.closed = False, True
        await in_thread(self.process.close)
