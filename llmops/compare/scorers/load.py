"""Loading of scorers by the names that recipes and command lines use."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from llmops.compare.scorers import function
from llmops.compare.scorers.scorer import Scorer, named_scorer
from llmops.errors import UsageError
from llmops.recipe import scorer_names
from llmops.recipe.built_in_scorers import BY_NAME
from llmops.recipe.scorer_names import ScorerName


def load_scorers(
    names: str | Callable[..., Any] | Iterable[str | Callable[..., Any]],
    *,
    code: bool = True,
    folder: Path = Path(),
) -> tuple[Scorer, ...]:
    """Load scorers by name.

    Args:
        names: Names of the form ``[LABEL=]KIND[:ARGUMENT]``, such as ``token_f1`` or
            ``ends=regex:[.]$``; or functions and scorers of MLflow. One need not be in a list.
        code: Whether ``evaluate:`` and ``mlflow:``, which import modules, are allowed.
        folder: Folder for relative paths of schemas and modules.

    Returns:
        The scorers in the order of their names.

    Raises:
        UsageError: A name is unknown, or its argument is invalid.
        NotFoundError: A schema or module does not exist.

    Example:
        from llmops.compare.scorers import load_scorers

        exact, ends = load_scorers(["exact", "ends=regex:[.]$"])
    """
    # MLflow's scorers can be iterated over, as every object of pydantic can.
    single = isinstance(names, str) or callable(names) or not hasattr(names, "__iter__")
    given: Iterable[Any] = (names,) if single else tuple(names)  # type: ignore[arg-type]
    parsed = iter(scorer_names.parse_all([n for n in given if isinstance(n, str)], code=code))
    loaded = [
        _load(next(parsed), folder) if isinstance(one, str) else function.load(one) for one in given
    ]
    _refuse_twins(loaded)
    return tuple(loaded)


def _refuse_twins(loaded: Sequence[Scorer]) -> None:
    """Refuse two scorers of one name, of which at least one is a function."""
    labels = [scorer.name for scorer in loaded]
    for label in labels:
        if labels.count(label) > 1:
            raise UsageError(
                f"two scorers have the name {label!r}", next_command="rename the function"
            )


def implementation(name: str) -> ModuleType:
    """Import the module of a built-in scorer.

    The module of a scorer of texts has ``score(prediction, reference)``, or ``score(prediction)`` if
    it does not read the expected answer, and optionally ``URL`` and ``CITATION`` (BibTeX) of its
    source. The module of any other scorer has ``load(name, folder) -> Scorer``.

    Raises:
        KeyError: There is no scorer of this name.
    """
    return importlib.import_module(f"llmops.compare.scorers.{BY_NAME[name].module or name}")


def _load(name: ScorerName, folder: Path) -> Scorer:
    module = implementation(name.kind)
    scorer = BY_NAME[name.kind]
    if not scorer.is_of_texts:
        loaded: Scorer = module.load(name, folder)
        return loaded
    if not scorer.needs_expected:
        return named_scorer(name, lambda _, answer: module.score(answer))
    return named_scorer(name, lambda example, answer: module.score(answer, example.expected or ""))
