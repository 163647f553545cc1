"""Prompts, and the answers of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Message = dict[str, Any]
"""One turn of a conversation: ``role`` and ``content``, and the tool calls of a request."""
Likelihood = tuple[float, int]
"""Sum of the log probabilities of the tokens of a text in nats, and the number of tokens."""


@dataclass(frozen=True)
class Example:
    """One held-out prompt.

    Attributes:
        id: Name that is unique within the suite.
        messages: Conversation; the last turn is the user's.
        expected: Expected answer; ``None`` without one.
        cluster: Name of the cluster. Examples of one cluster are not independent, such as
            questions on the same document.
        slices: Tags that group results, such as ``{"topic": "billing"}``.
    """

    id: str
    messages: tuple[Mapping[str, str], ...]
    expected: str | None
    cluster: str
    slices: Mapping[str, str] = field(default_factory=dict)

    def is_in(self, tag: tuple[str, str] | None) -> bool:
        """Return whether it belongs to a slice, given as key and value; all belong to ``None``."""
        return tag is None or self.slices.get(tag[0]) == tag[1]


@dataclass(frozen=True)
class Suite:
    """Held-out prompts, pinned by digest.

    Attributes:
        name: Name of the dataset in MLflow.
        path: File of the suite; ``None`` if it was in memory.
        digest: SHA-256 of the file's bytes, or of the examples if there is no file.
        examples: Prompts in the order of the file.
    """

    name: str
    path: Path | None
    digest: str
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class Sampling:
    """Parameters of generation.

    Attributes:
        max_tokens: Most tokens of an answer, end token included; ``None`` for as many as the
            context leaves, at most ``engine.requests.DEFAULT_ANSWER_TOKENS``.
        temperature: Sampling temperature; 0 is greedy.
        top_p: Share of the probability mass to sample from, in (0, 1]; 1 samples from all tokens.
        seed: Seed of sampled answers, ``None`` for a random one; no effect on greedy answers.
        stop: Strings that end an answer and are removed from it.
    """

    max_tokens: int | None = 64
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """The answer of one side to one prompt.

    Attributes:
        text: Text of the answer; empty if it failed.
        tokens: Number of generated tokens, end token included.
        prompt_tokens: Number of tokens of the prompt in the chat template.
        finish_reason: ``stop``, ``length`` (token limit), or ``error`` if it failed.
        error: Reason of the failure; ``None`` if there is an answer.
        seconds: Wall time of this answer; of answers that were generated together, its share by
            tokens. ``None`` if unknown.
    """

    text: str
    tokens: int
    prompt_tokens: int
    finish_reason: str
    error: str | None = None
    seconds: float | None = field(default=None, compare=False)
