"""The interface between the packages that need text and the engines that generate it.

``compare``, ``serve`` and ``flavor`` depend on ``Engine`` and name no implementation. Each result
carries the key of its request, so results may arrive in any order. Results are generators; closing
a generator stops the work behind it.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Protocol

from llmops.engine.requests import Key, Request, Turn
from llmops.records import Answer, Likelihood


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What an engine can do besides answering conversations.

    Attributes:
        likelihood: The method ``likelihood`` computes the log-likelihood of given answers.
        stream: The method ``stream`` yields text while it is generated.
        completion: A request may contain a text to continue instead of messages.
        context: Tokens that prompt and answer may have together; ``None`` if unknown.
    """

    likelihood: bool
    stream: bool
    completion: bool
    context: int | None = None


class Engine(Protocol):
    """One base model with its adapters, or a server that answers for them.

    Open one with ``open_engine``. A closed engine raises ``UsageError`` on every call but ``close``.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What this engine can do besides answering conversations."""
        ...

    def answer(
        self, requests: Sequence[Request], *, batch_size: int | None = None
    ) -> Generator[tuple[Key, Answer]]:
        """Answer requests to one or more sides; yield each answer as soon as it is complete.

        Args:
            requests: Conversations, each with its side, its sampling and a unique key.
            batch_size: Maximum number of requests that are computed or in flight together; by
                default the engine decides.

        Yields:
            The key of a request and its answer, in any order. A request that cannot be answered,
            such as a prompt that is too long, yields an empty answer with ``error`` set; if this is
            known before generation starts, these come first.

        Raises:
            UsageError: A sampling is invalid, two requests have the same key, or a side is not
                loaded.
            ServeError: The server of the engine stopped answering.
            LlmopsError: The engine cannot continue; answers already yielded remain valid.
        """
        ...

    def stream(self, request: Request) -> Generator[str | Answer]:
        """Yield pieces of text while they are generated, then the complete ``Answer``.

        Generation starts when the first piece is requested; closing the generator stops it.

        Args:
            request: The conversation, its side and its sampling.

        Yields:
            Pieces that concatenate to the answer's text, then the ``Answer``.

        Raises:
            UsageError: The request cannot be answered, or the engine does not stream.
            ServeError: The server does not answer, or breaks off the answer.
            LlmopsError: The generation failed.
        """
        ...

    def likelihood(self, turns: Sequence[Turn]) -> Generator[tuple[Key, Likelihood | None]]:
        """Compute the log-likelihood of given answers, including the end-of-turn tokens.

        Args:
            turns: Conversations with their answers, each with its side and a unique key.

        Yields:
            The key of a turn, and the sum of the natural-log probabilities of the answer's tokens
            with the number of these tokens; ``None`` for a turn that exceeds the context.

        Raises:
            UsageError: The engine computes no likelihoods, two turns have the same key, or a side
                is not loaded.
            LlmopsError: A turn does not fit into memory even alone.
        """
        ...

    def close(self) -> None:
        """Free the engine's memory, connections and server; closing it again does nothing."""
        ...
