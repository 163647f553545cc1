"""Scorers by the names that recipes and command lines use."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from llmops.compare.scorers.json_answers import json_schema
from llmops.compare.scorers.scoring import Judge, Scorer, named_scorer
from llmops.compare.scorers.text import TEXT_SCORERS, WITHOUT_REFERENCE, normalised
from llmops.errors import UsageError
from llmops.recipe import scorer_names
from llmops.recipe.scorer_names import ScorerName
from llmops.records import Example

LIKELIHOOD = "likelihood"


def load_scorers(
    names: Iterable[str], *, code: bool = True, folder: Path = Path()
) -> tuple[Scorer, ...]:
    """Makes scorers of their names.

    Args:
        names: ``[LABEL=]KIND[:ARGUMENT]`` each; see ``llmops.recipe.scorer_names``.
        code: Whether ``evaluate:`` and ``mlflow:``, which import modules, are allowed.
        folder: What relative paths of schemas and modules are relative to.

    Raises:
        UsageError: An unknown name, or an argument that cannot be used.
        NotFoundError: A schema or module that does not exist.
    """
    return tuple(_load(name, folder) for name in scorer_names.parse_all(names, code=code))


def _load(name: ScorerName, folder: Path) -> Scorer:
    if name.kind == "evaluate":
        from llmops.compare.scorers.evaluate_module import evaluate_scorer

        return evaluate_scorer(name, folder)
    if name.kind == "mlflow":
        from llmops.compare.scorers.mlflow_scorer import mlflow_scorer

        return mlflow_scorer(name, folder)
    if name.kind == "judge":
        from llmops.compare.scorers.judge.askers import load_judge

        asker = load_judge(name.argument)
        return replace(
            named_scorer(name, None, needs_expected=False, source=asker.digest), asker=asker
        )
    if name.kind == LIKELIHOOD:
        return named_scorer(name, None)
    if name.kind == "regex":
        return named_scorer(name, _found(_pattern(name)), needs_expected=False)
    if name.kind == "extract":
        return named_scorer(name, _extracted(_pattern(name, groups=1)))
    if name.kind == "json_schema":
        fits, schema = json_schema(folder / name.argument)
        return named_scorer(
            name, lambda _, answer: fits(answer), needs_expected=False, source=schema
        )
    return named_scorer(name, _text(name.kind), needs_expected=name.kind not in WITHOUT_REFERENCE)


def _text(kind: str) -> Judge:
    function = TEXT_SCORERS[kind]
    return lambda example, answer: function(answer, example.expected or "")


def _pattern(name: ScorerName, *, groups: int | None = None) -> re.Pattern[str]:
    try:
        pattern = re.compile(name.argument)
    except re.error as error:
        raise UsageError(f"scorer {name.spec!r}: not a regular expression: {error}") from error
    if groups is not None and pattern.groups != groups:
        raise UsageError(
            f"scorer {name.spec!r}: needs one group ( ) around what is compared,"
            f" received {pattern.groups}; (?: ) groups do not count"
        )
    return pattern


def _found(pattern: re.Pattern[str]) -> Judge:
    """1 if the pattern is found anywhere in the answer."""
    return lambda _, answer: float(pattern.search(answer) is not None)


def _extracted(pattern: re.Pattern[str]) -> Judge:
    """1 if what the group finds last in the answer is what it finds last in the expected one.

    An expected answer without the pattern is compared whole: it may be the bare result.
    """

    def last(text: str) -> str | None:
        found = [match for match in pattern.findall(text) if match]
        return found[-1] if found else None

    def same(example: Example, answer: str) -> float:
        expected, found = example.expected or "", last(answer)
        wanted = last(expected) or expected
        return float(found is not None and normalised(found) == normalised(wanted))

    return same
