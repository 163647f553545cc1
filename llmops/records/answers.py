"""What is asked of a model, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

Message = dict[str, str]
Likelihood = tuple[float, int]
"""Sum of natural-log probabilities of the tokens of a text, and their number."""


@dataclass(frozen=True)
class Example:
    """One held-out prompt.

    Attributes:
        messages: The conversation; its last turn is the user's.
        expected: The wanted answer, ``None`` if there is none.
        cluster: Examples of one cluster are not independent (same module, same user).
        slices: Tags by which results are broken down, such as ``{"topic": "billing"}``.
    """

    id: str
    messages: tuple[Mapping[str, str], ...]
    expected: str | None
    cluster: str
    slices: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Suite:
    """Held-out prompts, pinned by digest.

    Attributes:
        path: The file they were read from, ``None`` if they were in memory.
    """

    name: str
    path: Path | None
    digest: str
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class Sampling:
    """How to generate.

    Attributes:
        max_tokens: Tokens an answer may have, its end token included; ``None`` for as many as the
            context leaves, at most ``engine.requests.DEFAULT_ANSWER_TOKENS``.
        temperature: 0 is greedy.
        seed: Makes sampled answers repeatable; has no effect on greedy ones.
        stop: Strings that end an answer and are cut from it.
    """

    max_tokens: int | None = 64
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What one side answered to one prompt.

    Attributes:
        tokens: Generated tokens, the end token included.
        prompt_tokens: Tokens of the rendered prompt.
        finish_reason: ``stop``, ``length``, or ``error``: there is no answer.
        error: Why there is none.
        seconds: Wall time of this answer alone; ``None`` if it was made in a batch with others.
    """

    text: str
    tokens: int
    prompt_tokens: int
    finish_reason: str
    error: str | None = None
    seconds: float | None = field(default=None, compare=False)
