"""Records of what stands before the first answer: the question, and its share of the error budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Budget:
    """What one push may spend of the error budget of its candidate line.

    Attributes:
        line: Name of the line, such as ``pr-123``.
        push: Number of the push in its line, from 1.
        alpha: Two-sided error probability of the whole line, all its pushes together.
        alpha_k: Two-sided error probability of this push.
        next_alpha: That of the next push.
    """

    line: str
    push: int
    alpha: float
    alpha_k: float
    next_alpha: float


@dataclass(frozen=True)
class Frozen:
    """What a gate recorded in MLflow before the first answer.

    Attributes:
        content: Everything that must not change once an answer is known: both sides, suite, policy,
            scorers, settings, line, push, level. JSON types only.
        digest: SHA-256 of ``content``, which a tag of the run holds.
        budget: The push and its level.
        about: Data and code of the candidate, for a reader. JSON types only.
    """

    content: Mapping[str, object] = field(repr=False)
    digest: str
    budget: Budget
    about: Mapping[str, object] = field(repr=False, default_factory=dict)
