"""The type of a scorer: a function that rates each answer from 0 to 1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from llmops.compare.scorers.judge.askers import Asker
from llmops.files import digest
from llmops.recipe.built_in_scorers import BY_NAME
from llmops.recipe.scorer_names import ScorerName
from llmops.records import Example

Judge = Callable[[Example, str], float]


class Unscored(Exception):
    """The scorer cannot judge an answer, which then has the worst score."""


@dataclass(frozen=True)
class Scorer:
    """A function that rates each answer from 0 to 1; higher is better.

    Attributes:
        name: Name in tables, tags and MLflow.
        spec: ``KIND[:ARGUMENT]``, as in a recipe or on a command line.
        needs_expected: Whether it reads the expected answer of an example.
        digest: SHA-256 of its definition: its spec, and the schema or module it loads.
        judge: Example and answer → score. Returns NaN or raises ``Unscored`` if it cannot judge.
            ``None`` for ``likelihood``, which the engine computes, and for a pairwise judge.
        asker: Model that says which of two answers is better; ``None`` unless a pairwise judge.
    """

    name: str
    spec: str
    needs_expected: bool
    digest: str
    judge: Judge | None
    asker: Asker | None = None

    @property
    def is_likelihood(self) -> bool:
        """Whether the engine computes the score."""
        return self.judge is None and self.asker is None

    @property
    def record(self) -> dict[str, str]:
        """The scorer as JSON types: name, specification and digest."""
        return {"name": self.name, "spec": self.spec, "digest": self.digest}


def named_scorer(
    name: ScorerName, judge: Judge | None, *, needs_expected: bool | None = None, source: str = ""
) -> Scorer:
    """Return a scorer with the name that the user gave it.

    Args:
        name: Parsed name.
        judge: See ``Scorer``.
        needs_expected: See ``Scorer``; ``None`` takes it from the table of built-in scorers.
        source: Text of the schema or module that it loads. It replaces the argument, a path, in
            the digest.
    """
    if needs_expected is None:
        needs_expected = BY_NAME[name.kind].needs_expected
    defined = [name.kind, source or name.argument]
    return Scorer(name.label, name.spec, needs_expected, digest.of_record(defined), judge)
