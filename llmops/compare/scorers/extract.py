"""``extract:PATTERN``: whether answer and expected answer give the same result."""

from __future__ import annotations

import re
from pathlib import Path

from llmops.compare.scorers.exact import normalised
from llmops.compare.scorers.regex import compiled
from llmops.compare.scorers.scorer import Scorer, named_scorer
from llmops.errors import UsageError
from llmops.recipe.scorer_names import ScorerName
from llmops.records import Example


def load(name: ScorerName, folder: Path) -> Scorer:
    """Return a scorer that gives 1 if the last matches in both texts are equal, else 0.

    Matches are compared as the scorer ``exact`` compares texts. An expected answer without a match
    is compared as a whole: it may be the bare result.

    Raises:
        UsageError: The argument is not a regular expression with exactly one group.
    """
    pattern = compiled(name)
    if pattern.groups != 1:
        raise UsageError(
            f"scorer {name.spec!r}: expected one group ( ) around the part to compare,"
            f" received {pattern.groups}; (?: ) groups do not count"
        )

    def same(example: Example, answer: str) -> float:
        expected, result = example.expected or "", _last(pattern, answer)
        wanted = _last(pattern, expected) or expected
        return float(result is not None and normalised(result) == normalised(wanted))

    return named_scorer(name, same)


def _last(pattern: re.Pattern[str], text: str) -> str | None:
    """Return the last match of the group that is not empty; ``None`` without one."""
    matches = [match for match in pattern.findall(text) if match]
    return matches[-1] if matches else None
