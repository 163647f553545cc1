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
    """Return a scorer that gives 1 if the pattern's last matches are ``exact``ly equal, else 0.

    An expected answer without a match is compared whole: it may be the bare result.

    Raises:
        UsageError: Not a regular expression, or one without exactly one group.
    """
    pattern = compiled(name)
    if pattern.groups != 1:
        raise UsageError(
            f"scorer {name.spec!r}: needs one group ( ) around what is compared,"
            f" received {pattern.groups}; (?: ) groups do not count"
        )

    def same(example: Example, answer: str) -> float:
        expected, found = example.expected or "", _last(pattern, answer)
        wanted = _last(pattern, expected) or expected
        return float(found is not None and normalised(found) == normalised(wanted))

    return named_scorer(name, same)


def _last(pattern: re.Pattern[str], text: str) -> str | None:
    """Return the last match of the group that is not empty."""
    found = [match for match in pattern.findall(text) if match]
    return found[-1] if found else None
