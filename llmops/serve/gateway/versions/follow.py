"""Follow an alias: whatever version it points to is to serve."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from llmops.errors import LlmopsError, StoreError, first_line
from llmops.serve.gateway.threads import in_thread
from llmops.serve.gateway.versions.engine import NotNow
from llmops.serve.gateway.versions.router import Router
from llmops.serve.gateway.versions.swap import Swapper

POLL_SECONDS = 0.5
RETRY_SECONDS = 5.0
"""Seconds until a swap is tried again that failed for want of the registry."""

Lookup = Callable[[str, str], str | None]
log = logging.getLogger(__name__)


class Follower:
    """Asks the registry for the version of an alias, and swaps to it.

    Args:
        uri: ``models:/NAME@ALIAS``, or ``models:/NAME/VERSION``, which is not followed.
        notice: Called with each new problem, and with ``None`` once there is none.
        follow: Whether to follow an alias.
        router: Knows the current version.
        swapper: Swaps it.
        lookup: Returns the version of a model's alias, ``None`` if there is none; it blocks.
    """

    def __init__(
        self,
        uri: str,
        router: Router,
        swapper: Swapper,
        lookup: Lookup,
        notice: Callable[[str | None], None],
        *,
        follow: bool,
    ) -> None:
        self._router, self._swapper, self._lookup = router, swapper, lookup
        self._notice = notice
        self.problem: str | None = None
        """Why the alias is not followed at present; ``None`` if all is well."""
        self.moving = False
        """Whether a swap is running because the alias moved."""
        self._refused: str | None = None
        self._not_before = 0.0
        self.point(uri, follow=follow)

    def point(self, uri: str, *, follow: bool) -> None:
        """Follow another alias, or none if the URI names a version."""
        self.uri, self._follow = uri, follow
        self._well()

    @property
    def follows(self) -> bool:
        """Whether there is an alias to follow."""
        return self._follow and "@" in self.uri

    async def run(self) -> None:
        """Follow the alias until the task is cancelled."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            if self.follows and self._swapper.running is None:
                await self.look()

    async def look(self) -> None:
        """Ask once, and swap if the alias moved."""
        uri = self.uri
        name, _, alias = uri.removeprefix("models:/").partition("@")
        try:
            version = await in_thread(self._lookup, name, alias)
        except Exception as error:  # whatever the registry's client raises: the version stays
            self._trouble(f"the registry does not answer: {first_line(error)}")
            return
        if uri != self.uri:
            return
        if version is None:
            self._trouble(f"{uri}: no version has this alias; the last one keeps serving")
            return
        await self._move(f"{name}@v{version}", f"models:/{name}/{version}")

    async def _move(self, served: str, version: str) -> None:
        current = self._router.current
        if current is not None and current.served.name == served:
            self._well()
            return
        now = asyncio.get_running_loop().time()
        if version == self._refused or now < self._not_before:
            return
        self.moving = True
        try:
            await self._swapper.swap(version)
            self._well()
        except NotNow:
            return
        except StoreError as error:
            self._not_before = now + RETRY_SECONDS
            self._trouble(first_line(error))
        except LlmopsError as error:
            self._refused = version
            self._trouble(f"{version} is refused: {error.message}")
        finally:
            self.moving = False

    def _trouble(self, problem: str) -> None:
        if problem != self.problem:
            self.problem = problem
            self._notice(problem)
            log.warning("follow", extra={"fields": {"uri": self.uri, "why": problem}})

    def _well(self) -> None:
        self._refused = None
        if self.problem is not None:
            self.problem = None
            self._notice(None)
