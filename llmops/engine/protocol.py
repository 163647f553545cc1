"""The seam between everything that needs text and whatever generates it.

``compare``, ``serve`` and ``flavor`` are typed against ``Engine`` and name no implementation. A
result carries the key of its request, so results may come in any order. Results are generators:
closing one ends the work behind it.
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
        likelihood: ``likelihood`` computes the log-likelihood of given answers.
        stream: ``stream`` yields text while it is generated.
        completion: A request may hold a text to continue in place of messages.
        context: Tokens that prompt and answer may have together; ``None`` if the engine does not
            say.
    """

    likelihood: bool
    stream: bool
    completion: bool
    context: int | None = None


class Engine(Protocol):
    """One base model with its adapters, or a server that answers for them."""

    @property
    def capabilities(self) -> Capabilities:
        """What this engine can do."""
        ...

    def answer(
        self, requests: Sequence[Request], *, batch_size: int | None = None
    ) -> Generator[tuple[Key, Answer]]:
        """Answer requests to one side or several, each as soon as it is done.

        Args:
            requests: Each names its side, its conversation and its sampling. Keys are unique.
            batch_size: Requests computed or under way together, at most.

        Yields:
            The key of a request and its answer, in any order. An answer that cannot be given,
            such as to a prompt that is too long, is empty and has ``error`` set; such requests
            come first where they are known before anything is generated.

        Raises:
            UsageError: A sampling is invalid, two requests have the same key, or a side is not
                loaded.
            LlmopsError: The engine cannot go on; what was yielded stays valid.
        """
        ...

    def stream(self, request: Request) -> Generator[str | Answer]:
        """Yield pieces of text while they are generated, then the whole ``Answer``.

        The pieces together are the answer's text. Nothing begins before the first piece is asked
        for; closing the generator ends the generation.

        Raises:
            UsageError: The request cannot be answered, or the engine does not stream.
            LlmopsError: The generation failed.
        """
        ...

    def likelihood(self, turns: Sequence[Turn]) -> Generator[tuple[Key, Likelihood | None]]:
        """Compute the log-likelihood of given answers, end of turn included.

        Args:
            turns: Each names its side, its conversation and its answer. Keys are unique.

        Yields:
            The key of a turn with the sum of natural-log token probabilities and the number of
            tokens; ``None`` for a turn that does not fit the context.

        Raises:
            UsageError: The engine computes no likelihood.
        """
        ...

    def close(self) -> None:
        """Release what the engine holds; a closed engine raises ``UsageError`` when asked."""
        ...
