"""The engines of a comparison, opened on first use: one for each base model and each endpoint.

A side that changes its base, such as a PiSSA adapter, has an engine and a copy of the base for itself.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from typing import TypeGuard, TypeVar

from llmops.engine import Engine, Key, Request, Turn, open_engine
from llmops.engine.sides import ApartError
from llmops.models import adapters, safety
from llmops.progress import say
from llmops.recipe.engine_names import ENGINES
from llmops.records import Answer, Likelihood, ModelFiles, Side

REMOTE = "openai"
Asked = TypeVar("Asked", Request, Turn)


class Engines:
    """The engines that answer for the sides of a comparison.

    Versions that share a base share an engine, whose batches mix them, unless one changes the base or
    cannot be loaded together with the others. An engine is opened by its first request: a comparison
    that is fully cached loads no model and connects to no server.

    Args:
        sides: The sides to answer for.
        batch_size: Number of requests computed together, at most.
        engine: Name of the engine for sides whose files are on this machine; see ``engine_names``.

    Attributes:
        seconds: Wall time of all answers so far, without the time to load models.
    """

    def __init__(self, sides: Sequence[Side], batch_size: int, engine: str = "local") -> None:
        self._batch_size, self._engine = batch_size, engine
        self._groups: dict[str, list[Side]] = {}
        for side in sorted(sides, key=lambda side: side.base is not None):  # remote ones first
            self._groups.setdefault(_group(side), []).append(side)
        self._group_of = {
            _identity(side): group for group, same in self._groups.items() for side in same
        }
        self._open: dict[str, Engine] = {}
        self.seconds = 0.0

    def computes(self, side: Side) -> TypeGuard[ModelFiles]:
        """Return whether the side's engine computes the likelihood of a given answer."""
        return isinstance(side, ModelFiles) and ENGINES[self._engine].likelihood

    def is_final(self, side: Side) -> bool:
        """Return whether the side would refuse a refused request again, so its error can be cached."""
        return isinstance(side, ModelFiles) and ENGINES[self._engine].in_process

    def answer(self, requests: Sequence[Request]) -> Generator[tuple[Key, Answer]]:
        """Answer requests to any of the sides; see ``Engine.answer``.

        Raises:
            LlmopsError: A side cannot be loaded or reached, or a request does not fit into memory
                even alone.
        """
        for engine, mine in self._shares(requests):
            begun = time.monotonic()
            with closing(engine.answer(mine, batch_size=self._batch_size)) as answers:
                yield from answers
            self.seconds += time.monotonic() - begun

    def likelihood(self, turns: Sequence[Turn]) -> Generator[tuple[Key, Likelihood | None]]:
        """Compute log-likelihoods of given answers; see ``Engine.likelihood``.

        Raises:
            UsageError: A side's engine computes no likelihood.
            LlmopsError: A side cannot be loaded.
        """
        for engine, mine in self._shares(turns):
            with closing(engine.likelihood(mine)) as likelihoods:
                yield from likelihoods

    def close(self) -> None:
        """Close the engines that were opened."""
        for engine in self._open.values():
            engine.close()

    def _shares(self, asked: Sequence[Asked]) -> Iterator[tuple[Engine, list[Asked]]]:
        """Yield each engine that is asked, with its requests or turns; open it just before."""
        for group in list(self._groups):
            if any(self._group_of[_identity(item.side)] == group for item in asked):
                for opened in self._opened(group):
                    mine = [x for x in asked if self._group_of[_identity(x.side)] == opened]
                    if mine:
                        yield self._open[opened], mine

    def _opened(self, group: str) -> list[str]:
        """Open the engine of a group; split the group if its sides cannot share one.

        Returns:
            The group, or the groups into which it was split, whose engines are open.
        """
        if group in self._open:
            return [group]
        sides = self._groups[group]
        try:
            remote = sides[0].base is None
            self._open[group] = open_engine(REMOTE if remote else self._engine, sides)
            return [group]
        except ApartError as error:
            if len(sides) < 2:
                raise
            say(f"note: {error.message}; each side gets an engine of its own")
        del self._groups[group]
        for side in sides:
            alone = self._group_of[_identity(side)] = f"{group} {side.digest}"
            self._groups.setdefault(alone, []).append(side)
        return [name for side in sides for name in self._opened(self._group_of[_identity(side)])]


def _identity(side: Side) -> tuple[str, str]:
    """Return what distinguishes a side from all others: base and adapter, or the URI."""
    return (side.base.digest if side.base else side.uri), side.digest


def _group(side: Side) -> str:
    """Return the key of a side's engine: the base's digest, or the URI of an endpoint."""
    if not isinstance(side, ModelFiles):
        return side.uri
    if side.adapter_dir is None:
        return side.base.digest
    config = safety.read_json(side.adapter_dir / adapters.CONFIG)
    return (
        f"{side.base.digest} {side.digest}" if adapters.reason_alone(config) else side.base.digest
    )
