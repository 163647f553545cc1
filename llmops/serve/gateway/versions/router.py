"""The version that answers now, and how many requests each version is answering."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from llmops.engine.openai.errors import ApiError
from llmops.records.serving import Served
from llmops.serve.gateway.versions.engine import Engine

RETRY_SECONDS = 2
"""Seconds after which a client may try again when nothing can answer."""


@dataclass(eq=False)
class Target:
    """A version on the engine that answers for it.

    Attributes:
        served: The version.
        engine: The engine in which it is loaded.
        in_flight: Requests that it is answering.
    """

    served: Served
    engine: Engine
    in_flight: int = 0
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while ``in_flight`` is 0."""

    def __post_init__(self) -> None:
        """Begin idle."""
        self.idle.set()


class Router:
    """Sends each request to the current version and keeps it there until its answer is complete.

    Args:
        deployment: Name of the deployment.
    """

    def __init__(self, deployment: str) -> None:
        self._deployment = deployment
        self.current: Target | None = None
        """What answers requests that come now; ``None`` before the first version is loaded."""
        self.targets: dict[str, Target] = {}
        """Current and earlier versions that still answer requests, by name."""
        self.announced = False
        """Whether the first version has been recorded, so that whoever waits for it may go on."""
        self.closing = False
        """Whether the deployment is ending and refuses new requests."""
        self._names: frozenset[str] = frozenset()

    def flip(self, target: Target) -> Target | None:
        """Make a version the current one; return the one before."""
        before, self.current = self.current, target
        self.targets[target.served.name] = target
        self._names = frozenset(names(self._deployment, target.served))
        return before

    def ready(self) -> Target:
        """Return the current version, if it can answer.

        Raises:
            ApiError: Nothing can answer now (503 with ``Retry-After``).
        """
        if self.closing:
            raise unavailable("the deployment is stopping")
        if self.current is None:
            raise unavailable("the first version is being loaded")
        if not self.current.engine.up:
            raise unavailable("the engine is being restarted")
        return self.current

    def check(self, model: str | None) -> Target:
        """Return the current version, if a request may name it so.

        Args:
            model: Name in the request; ``None`` names whichever version is current.

        Raises:
            ApiError: Nothing can answer now (503), or the name is that of another model (404).
        """
        target = self.ready()
        if model is not None and model not in self._names:
            allowed = ", ".join(sorted(self._names))
            raise ApiError(
                404,
                f"model {model[:200]!a} is not served here; the current version is"
                f" {target.served.name}; allowed: {allowed}",
                param="model",
                code="model_not_found",
            )
        return target

    @contextmanager
    def hold(self, model: str | None) -> Iterator[Target]:
        """Yield the version that answers a request, which is not unloaded before the block ends.

        Raises:
            ApiError: See ``check``.
        """
        target = self.check(model)
        target.in_flight += 1
        target.idle.clear()
        try:
            yield target
        finally:
            target.in_flight -= 1
            if not target.in_flight:
                target.idle.set()

    def awaits(self, engine: Engine) -> bool:
        """Return whether requests wait for an engine."""
        return any(one.in_flight and one.engine is engine for one in self.targets.values())

    @property
    def in_flight(self) -> int:
        """Requests that are being answered, by whichever version."""
        return sum(target.in_flight for target in self.targets.values())


def names(deployment: str, served: Served) -> list[str]:
    """Return the names by which requests may ask for a version while it is the current one."""
    name, _, version = served.name.rpartition("@v")
    uri = f"models:/{name}/{version}"
    return [deployment, name, f"{name}/{version}", served.name, uri]


def unavailable(why: str) -> ApiError:
    """Return the error for a request that nothing can answer now."""
    return ApiError(503, why, code="unavailable", headers={"Retry-After": str(RETRY_SECONDS)})
