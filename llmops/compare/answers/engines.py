"""The engines of a comparison: one for each base model and each endpoint, opened on first use."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from typing import TypeGuard

from llmops.engine import Engine, Key, Request, Turn, open_engine
from llmops.recipe.engine_names import ENGINES
from llmops.records import Answer, Likelihood, ModelFiles, Side

REMOTE = "openai"


class Engines:
    """The engines that answer for the sides of a comparison.

    Versions that share a base share an engine, whose batches mix them. An engine is opened by its
    first request: a comparison that is fully cached loads no model and connects to no server.

    Args:
        sides: The sides to answer for.
        batch_size: Number of requests computed together, at most.
        engine: Name of the engine for sides whose files are on this machine; see ``engine_names``.
    """

    def __init__(self, sides: Sequence[Side], batch_size: int, engine: str = "local") -> None:
        self._batch_size, self._engine = batch_size, engine
        self._groups: dict[str, list[Side]] = {}
        for side in sorted(sides, key=lambda side: side.base is not None):  # remote ones first
            self._groups.setdefault(_group(side), []).append(side)
        self._open: dict[str, Engine] = {}

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
        for group in self._groups:
            mine = [request for request in requests if _group(request.side) == group]
            if mine:
                engine = self._engine_of(group)
                with closing(engine.answer(mine, batch_size=self._batch_size)) as answers:
                    yield from answers

    def likelihood(self, turns: Sequence[Turn]) -> Generator[tuple[Key, Likelihood | None]]:
        """Compute log-likelihoods of given answers; see ``Engine.likelihood``.

        Raises:
            UsageError: A side's engine computes no likelihood.
            LlmopsError: A side cannot be loaded.
        """
        for group in self._groups:
            mine = [turn for turn in turns if _group(turn.side) == group]
            if mine:
                with closing(self._engine_of(group).likelihood(mine)) as likelihoods:
                    yield from likelihoods

    def close(self) -> None:
        """Close the engines that were opened."""
        for engine in self._open.values():
            engine.close()

    def _engine_of(self, group: str) -> Engine:
        if group not in self._open:
            sides = self._groups[group]
            remote = sides[0].base is None
            self._open[group] = open_engine(REMOTE if remote else self._engine, sides)
        return self._open[group]


def _group(side: Side) -> str:
    """Return the key of a side's engine: the base's digest, or the URI of an endpoint."""
    return side.base.digest if side.base else side.uri
