"""Scorers by the names that recipes and command lines use."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from llmops.compare.scorers.scorer import Scorer, named_scorer
from llmops.recipe import scorer_names
from llmops.recipe.built_in_scorers import BY_NAME
from llmops.recipe.scorer_names import ScorerName


def load_scorers(
    names: Iterable[str], *, code: bool = True, folder: Path = Path()
) -> tuple[Scorer, ...]:
    """Make scorers of their names.

    Args:
        names: ``[LABEL=]KIND[:ARGUMENT]`` each; see ``llmops.recipe.scorer_names``.
        code: Whether ``evaluate:`` and ``mlflow:``, which import modules, are allowed.
        folder: What relative paths of schemas and modules are relative to.

    Raises:
        UsageError: An unknown name, or an argument that cannot be used.
        NotFoundError: A schema or module that does not exist.
    """
    return tuple(_load(name, folder) for name in scorer_names.parse_all(names, code=code))


def implementation(name: str) -> ModuleType:
    """Import the file of a built-in scorer.

    A function of texts has ``score(prediction, reference)`` in its file, or ``score(prediction)``
    if it does not read the expected answer, and may have ``URL`` and ``CITATION`` (BibTeX) of its
    source. Any other scorer has ``load(name, folder) -> Scorer``.

    Raises:
        KeyError: No such scorer.
    """
    return importlib.import_module(f"llmops.compare.scorers.{BY_NAME[name].module or name}")


def _load(name: ScorerName, folder: Path) -> Scorer:
    found = implementation(name.kind)
    scorer = BY_NAME[name.kind]
    if not scorer.is_of_texts:
        loaded: Scorer = found.load(name, folder)
        return loaded
    if not scorer.needs_expected:
        return named_scorer(name, lambda _, answer: found.score(answer))
    return named_scorer(name, lambda example, answer: found.score(answer, example.expected or ""))
