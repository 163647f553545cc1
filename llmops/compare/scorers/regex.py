"""``regex:PATTERN``: whether a pattern occurs anywhere in an answer."""

from __future__ import annotations

import re
from pathlib import Path

from llmops.compare.scorers.scorer import Scorer, named_scorer
from llmops.errors import UsageError
from llmops.recipe.scorer_names import ScorerName


def load(name: ScorerName, folder: Path) -> Scorer:
    """Return a scorer that gives 1 if the pattern occurs, else 0.

    Raises:
        UsageError: The argument is not a regular expression.
    """
    pattern = compiled(name)
    return named_scorer(name, lambda _, answer: float(pattern.search(answer) is not None))


def compiled(name: ScorerName) -> re.Pattern[str]:
    """Compile the argument of a scorer.

    Raises:
        UsageError: The argument is not a regular expression.
    """
    try:
        return re.compile(name.argument)
    except re.error as error:
        raise UsageError(f"scorer {name.spec!r}: not a regular expression: {error}") from error
