"""Hugging Face ``evaluate`` modules as scorers: each example is a dataset of one row."""

from __future__ import annotations

import inspect
import re
import uuid
from collections.abc import Callable, Mapping
from numbers import Real
from pathlib import Path
from typing import Any

from llmops.compare.scorers.scorer import Scorer, named_scorer
from llmops.errors import NotFoundError, UsageError
from llmops.recipe.scorer_names import ScorerName
from llmops.records import Example

INPUTS = ("predictions", "references")
_KEYED = re.compile(r"(.+?):((?:1-)?[A-Za-z_][A-Za-z0-9_.-]*)")


def load(name: ScorerName, folder: Path) -> Scorer:
    """Return the scorer of ``evaluate:NAME_OR_PATH[:KEY]``.

    A path (to a folder, or to its file of the same name) is read from disk only. A name is
    looked up in ``evaluate``'s cache and, unless ``HF_EVALUATE_OFFLINE`` is set, on the hub.

    Args:
        name: Parsed name. KEY is the entry of the result to use, required if there are several
            numbers; ``1-KEY`` inverts an error rate, with 0 as the least score.
        folder: Folder for a relative path.

    Raises:
        NotFoundError: The module exists neither here nor on the hub.
        UsageError: The module cannot be imported, or needs more than predictions and references.
    """
    keyed = _KEYED.fullmatch(name.argument)
    where, key = keyed.groups() if keyed else (name.argument, "")
    local = folder / where
    # A folder that happens to have a metric's name must not hide the metric.
    is_here = local.is_file() or (local / f"{local.name}.py").is_file()
    module = _load(name, str(local) if is_here else where)
    features = module.features  # a list if the module accepts several input types
    needed = set(features[0] if isinstance(features, list) else features)
    if not needed <= set(INPUTS) or "predictions" not in needed:
        raise UsageError(
            f"scorer {name.spec!r}: the module reads {', '.join(sorted(needed))},"
            " but a scorer has only predictions and references"
        )

    def compute(answer: str, expected: str | None) -> Mapping[str, Any]:
        texts = {"predictions": [answer], "references": [expected]}
        result: Mapping[str, Any] = module.compute(**{kind: texts[kind] for kind in needed})
        return result

    def judge(example: Example, answer: str) -> float:
        return _entry(compute(answer, example.expected), key)

    _require_entry(name, compute, key)
    source = Path(inspect.getfile(type(module))).read_text(encoding="utf-8")
    return named_scorer(
        name, judge, needs_expected="references" in needed, source=f"{key} of {source}"
    )


def _load(name: ScorerName, where: str) -> Any:
    import evaluate

    try:
        # A unique id, in memory: two processes would share one file of evaluate's cache.
        return evaluate.load(where, keep_in_memory=True, experiment_id=uuid.uuid4().hex)
    except (FileNotFoundError, ConnectionError) as error:
        raise NotFoundError(
            f"scorer {name.spec!r}: no evaluate module {where!r} on disk, in evaluate's cache or on the hub",
            next_command="give the path of a folder that contains a file of the same name",
        ) from error
    except Exception as error:  # a module may be any user's code
        raise UsageError(
            f"scorer {name.spec!r}: cannot be loaded: {type(error).__name__}: {error}"
        ) from error


def _require_entry(
    name: ScorerName, compute: Callable[[str, str], Mapping[str, Any]], key: str
) -> None:
    """Refuse a key that does not select one number, before anything is generated."""
    try:
        result = compute("yes", "yes")
    except Exception:  # it may need numbers: the first real answers decide
        return
    try:
        _entry(result, key)
    except ValueError as error:
        raise UsageError(f"scorer {name.spec!r}: {error}") from error


def _entry(result: Mapping[str, Any], key: str) -> float:
    """Return the number that the key selects among those a module returns."""
    numbers = {name: float(value) for name, value in result.items() if _is_number(value)}
    wanted = key.removeprefix("1-")
    if not wanted and len(numbers) == 1:
        return next(iter(numbers.values()))
    if wanted not in numbers:
        what = f"no number {wanted!r}" if wanted else "which number?"
        raise ValueError(f"{what}; it returns {', '.join(numbers)}; add :KEY")
    return max(0.0, 1 - numbers[wanted]) if key.startswith("1-") else numbers[wanted]


def _is_number(value: object) -> bool:
    return isinstance(value, Real) or getattr(value, "ndim", None) == 0
