"""Scorers that a Python caller passes as objects: plain functions, and scorers of MLflow."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from llmops.compare.scorers import mlflow_scorer
from llmops.compare.scorers.scorer import Judge, Scorer
from llmops.errors import UsageError
from llmops.files import digest
from llmops.recipe import scorer_names
from llmops.records import Example

SHAPE = "def NAME(answer, expected) -> float, or def NAME(answer) -> float"
READS: Mapping[str, Callable[[Example, str], object]] = {
    "answer": lambda example, answer: answer,
    "expected": lambda example, answer: example.expected,
    "prompt": lambda example, answer: example.messages[-1]["content"],
    "messages": lambda example, answer: [dict(message) for message in example.messages],
}
"""Parameter of a function → what it gets."""
BY_PLACE = ("answer", "expected")
"""What parameters of other names get, in their order."""


def load(given: Any) -> Scorer:
    """Return a function or a scorer of MLflow as a scorer named after it.

    A function gets the parameters that it names of ``answer``, ``expected``, ``prompt`` and ``messages``;
    one or two of other names get the answer and the expected answer. It returns a number from 0 to 1,
    a truth value, or ``None`` if it cannot judge.

    Args:
        given: The object.

    Raises:
        UsageError: It is neither, has no name or a reserved one, or needs other arguments.
    """
    if inspect.isclass(given):
        raise UsageError(
            f"scorer {given.__name__}: expected a function or an object, received a class",
            next_command=f"make an object of it: scorers=[{given.__name__}()]",
        )
    if not callable(given):
        raise UsageError(
            f"scorers: expected names, functions or scorers of MLflow, received {type(given).__name__}",
            next_command=SHAPE,
        )
    return _of_function(given) if inspect.isroutine(given) else _of_object(given)


def _of_object(given: Any) -> Scorer:
    """Return a scorer of MLflow, or any other object that can be called."""
    from mlflow.genai.scorers import Scorer as MlflowScorer

    if not isinstance(given, MlflowScorer):
        return _of_function(given)
    label = _label(str(given.name))
    needs_expected = mlflow_scorer.check(label, given)
    try:
        definition = json.dumps(given.model_dump(), sort_keys=True, default=str)
    except Exception:  # a subclass of the user's own
        definition = repr(given)
    digested = digest.of_record(["mlflow", definition])
    return Scorer(label, f"mlflow:{label}", needs_expected, digested, mlflow_scorer.judge_of(given))


def _of_function(given: Callable[..., Any]) -> Scorer:
    label = _label(str(getattr(given, "__name__", type(given).__name__)))
    judge, needs_expected = _judge(label, given)
    digested = digest.of_record(["function", _definition(given)])
    return Scorer(label, f"function:{label}", needs_expected, digested, judge)


def _label(name: str) -> str:
    """Return the name under which tables and MLflow show a scorer."""
    label = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")
    if name == "<lambda>" or not label[:1].isalpha():
        raise UsageError(
            f"scorer {name}: has no name that could stand in a table", next_command=SHAPE
        )
    if label in scorer_names.RESERVED:
        raise UsageError(
            f"scorer {name!r}: the name is that of a built-in one; choose another",
            next_command=SHAPE,
        )
    return label


def _judge(label: str, function: Callable[..., Any]) -> tuple[Judge, bool]:
    """Return the judge that calls a function, and whether it needs the expected answer."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):  # written in C
        parameters = inspect.signature(lambda answer: None).parameters.values()
    needed = [p for p in parameters if p.default is p.empty and p.kind not in _VARIABLE]
    named = [p.name for p in parameters if p.name in READS and p.kind not in _VARIABLE]
    if all(p.name in READS for p in needed) and "answer" in named:
        return _by_name(function, named), any(p.name == "expected" for p in needed)
    placed = [p for p in needed if p.kind is not p.KEYWORD_ONLY]
    if not 1 <= len(placed) <= len(BY_PLACE) or len(placed) != len(needed):
        names = ", ".join(p.name for p in needed) or "nothing"
        raise UsageError(
            f"scorer {label!r}: needs {names}; allowed: {', '.join(READS)}", next_command=SHAPE
        )
    reads = [READS[name] for name in BY_PLACE[: len(placed)]]

    def judge(example: Example, answer: str) -> float:
        return mlflow_scorer.number(function(*(read(example, answer) for read in reads)))

    return judge, len(placed) == len(BY_PLACE)


_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _by_name(function: Callable[..., Any], names: list[str]) -> Judge:
    def judge(example: Example, answer: str) -> float:
        given = {name: READS[name](example, answer) for name in names}
        return mlflow_scorer.number(function(**given))

    return judge


def _definition(function: Callable[..., Any]) -> str:
    """Return the source of a function, or else what its bytecode says; a notebook's cell has a source."""
    try:
        return inspect.getsource(function if inspect.isroutine(function) else type(function))
    except (OSError, TypeError):
        code = getattr(function, "__code__", None)
        if code is None:
            return repr(type(function))
        return repr((code.co_code.hex(), code.co_names, code.co_varnames, _constants(code)))


def _constants(code: Any) -> list[str]:
    """Return the constants of a code object, those of the functions within it included."""
    found = []
    for constant in code.co_consts:
        nested = hasattr(constant, "co_consts")
        found += [constant.co_code.hex(), *_constants(constant)] if nested else [repr(constant)]
    return found
