"""What a scorer is: a number in [0, 1] for each answer."""

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
    """Raised by a scorer that cannot judge an answer; it counts as the worst score."""


@dataclass(frozen=True)
class Scorer:
    """A number in [0, 1] for each example; higher is better, always.

    Attributes:
        name: What tables, tags and MLflow call it.
        spec: ``KIND[:ARGUMENT]``, as a recipe or a command line names it.
        needs_expected: Whether it reads the example's expected answer.
        digest: SHA-256 of what defines it: its spec, and the schema or module it loads.
        judge: Example and answer → score. NaN or ``Unscored`` where it cannot judge; ``None``
            for ``likelihood``, which the engine computes, and for a judge of pairs.
        asker: Who is asked which of two answers is better; ``None`` for all other scorers.
    """

    name: str
    spec: str
    needs_expected: bool
    digest: str
    judge: Judge | None
    asker: Asker | None = None

    @property
    def is_likelihood(self) -> bool:
        """Whether the engine computes it."""
        return self.judge is None and self.asker is None


def named_scorer(
    name: ScorerName, judge: Judge | None, *, needs_expected: bool | None = None, source: str = ""
) -> Scorer:
    """Return a scorer under its user's name.

    Args:
        name: As the user wrote it.
        judge: See ``Scorer``.
        needs_expected: See ``Scorer``; ``None``: what the table of built-in scorers says.
        source: Text of the schema or module that it loads; it takes the place of the argument,
            a path, in the digest.
    """
    if needs_expected is None:
        needs_expected = BY_NAME[name.kind].needs_expected
    defined = [name.kind, source or name.argument]
    return Scorer(name.label, name.spec, needs_expected, digest.of_record(defined), judge)
