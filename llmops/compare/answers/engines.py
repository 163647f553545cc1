"""Who answers: an engine for each base model, a connection for each endpoint, made when needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple, TypeGuard

from llmops.engine.chat_format import Messages
from llmops.engine.local.engine import LocalEngine
from llmops.engine.local.scheduler import OnBatch
from llmops.engine.openai.engine import HttpEngine, parse_endpoint
from llmops.engine.requests import Request, Turn
from llmops.engine.vllm.engine import VllmEngine
from llmops.records import Answer, Likelihood, ModelFiles, RemoteModel, Sampling, Side


class Asked(NamedTuple):
    """A conversation that one side shall go on with."""

    side: Side
    messages: Messages
    sampling: Sampling


class Engines:
    """The sides of a comparison, ready to answer.

    Versions that share a base share one engine, whose batches mix them. Nothing is loaded, and
    nobody is connected to, before a question reaches it: a comparison that is in the cache needs
    no model.

    Args:
        sides: Whom to ask.
        batch_size: Requests that are computed at once at most.
        engine: What generates: this process, or a vLLM server of its own.
    """

    def __init__(self, sides: Sequence[Side], batch_size: int, engine: str = "local") -> None:
        files = [side for side in sides if isinstance(side, ModelFiles)]
        self._batch_size, self._computes = batch_size, engine == "local"
        kind = VllmEngine if engine == "vllm" else LocalEngine
        self._local = {
            digest: _OfBase([side for side in files if side.base.digest == digest], kind)
            for digest in dict.fromkeys(side.base.digest for side in files)
        }
        self._remote = {side.uri: _Remote(side) for side in sides if isinstance(side, RemoteModel)}

    def computes(self, side: Side) -> TypeGuard[ModelFiles]:
        """Whether this process computes the side: it can tell likelihoods, and fails for good."""
        return self._computes and isinstance(side, ModelFiles)

    def close(self) -> None:
        """Ends what was started."""
        for engine in self._local.values():
            engine.close()

    def generate(self, asked: Sequence[Asked], on_batch: OnBatch[Answer]) -> list[Answer]:
        """Answers requests; one that cannot be answered has ``error`` set.

        Args:
            asked: To any of the sides.
            on_batch: Called with the indices and answers of what is done.

        Returns:
            Answers in the order of the requests.

        Raises:
            LlmopsError: A side cannot be loaded, is not there, or a request does not fit into
                memory even alone.
        """
        found: dict[int, Answer] = {}

        def keep(indices: list[int], answers: list[Answer]) -> None:
            found.update(zip(indices, answers, strict=True))
            on_batch(indices, answers)

        for uri, remote in self._remote.items():
            mine = [i for i, request in enumerate(asked) if request.side.uri == uri]
            remote.generate([asked[i] for i in mine], _renumbered(keep, mine))
        for digest, local in self._local.items():
            mine = [i for i, request in enumerate(asked) if _base(request) == digest]
            if mine:
                local.generate([asked[i] for i in mine], _renumbered(keep, mine), self._batch_size)
        return [found[i] for i in range(len(asked))]

    def log_likelihoods(
        self, turns: Sequence[Turn], on_batch: OnBatch[Likelihood | None]
    ) -> list[Likelihood | None]:
        """Log-likelihoods of given answers; ``None`` for one that does not fit the context.

        Args:
            turns: Of sides whose weights are here.
            on_batch: Called with the indices and results of what is done.
        """
        found: dict[int, Likelihood | None] = {}

        def keep(indices: list[int], results: list[Likelihood | None]) -> None:
            found.update(zip(indices, results, strict=True))
            on_batch(indices, results)

        for digest, local in self._local.items():
            mine = [i for i, turn in enumerate(turns) if turn.side.base.digest == digest]
            if mine:
                local.log_likelihoods([turns[i] for i in mine], _renumbered(keep, mine))
        return [found[i] for i in range(len(turns))]


class _OfBase:
    """One base with its adapters: an engine of one kind, loaded or started at the first question."""

    def __init__(
        self, sides: Sequence[ModelFiles], kind: type[LocalEngine] | type[VllmEngine]
    ) -> None:
        self._sides, self._kind = sides, kind

    @cached_property
    def _engine(self) -> LocalEngine | VllmEngine:
        return self._kind(self._sides)

    def close(self) -> None:
        """Ends the server, if one was started."""
        engine = self.__dict__.get("_engine")
        if isinstance(engine, VllmEngine):
            engine.close()

    def generate(self, conversations: Sequence[Asked], keep: OnBatch[Answer], rows: int) -> None:
        """Answers those that can be answered, and says of the others why they cannot."""
        known = {side.uri: side for side in self._sides}
        asked = [Request(known[one.side.uri], one.messages, one.sampling) for one in conversations]
        self._engine.generate_many(asked, batch_size=rows, on_batch=keep)

    def log_likelihoods(self, turns: Sequence[Turn], keep: OnBatch[Likelihood | None]) -> None:
        """Of given answers; a server cannot tell, and ``compare`` refuses to ask one."""
        assert isinstance(self._engine, LocalEngine)
        self._engine.log_likelihood_many(turns, on_batch=keep)


class _Remote:
    """A server of the OpenAI protocol, connected to at the first question."""

    def __init__(self, side: RemoteModel) -> None:
        self._side = side

    @cached_property
    def _engine(self) -> HttpEngine:
        return HttpEngine(parse_endpoint(self._side.uri))

    def generate(self, asked: Sequence[Asked], keep: OnBatch[Answer]) -> None:
        for sampling in dict.fromkeys(request.sampling for request in asked):
            mine = [i for i, request in enumerate(asked) if request.sampling == sampling]
            self._ask([asked[i] for i in mine], sampling, _renumbered(keep, mine))

    def _ask(self, asked: Sequence[Asked], sampling: Sampling, keep: OnBatch[Answer]) -> None:
        self._engine.generate(
            [request.messages for request in asked],
            sampling,
            on_answer=lambda i, answer: keep([i], [answer]),
        )


def _base(asked: Asked) -> str | None:
    return asked.side.base.digest if isinstance(asked.side, ModelFiles) else None


def _renumbered(
    keep: Callable[[list[int], list[Any]], None], numbers: Sequence[int]
) -> Callable[[list[int], list[Any]], None]:
    """Reports a part's results under the whole's indices."""
    return lambda indices, results: keep([numbers[i] for i in indices], results)
