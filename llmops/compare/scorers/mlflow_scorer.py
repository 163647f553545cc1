"""Scorers of ``mlflow.genai`` (``@scorer`` functions, judges) as scorers of a comparison."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import math
from pathlib import Path
from types import ModuleType
from typing import Any

from llmops.compare.scorers.scorer import Judge, Scorer, Unscored, named_scorer
from llmops.errors import NotFoundError, UsageError
from llmops.recipe.scorer_names import ScorerName
from llmops.records import Example

RATINGS = {"yes": 1.0, "no": 0.0}
"""Ratings of MLflow's judges as scores; any other word is not a judgement."""
TRACED = ("trace", "session")
"""Parameters that only MLflow's own evaluation loop can fill."""


def load(name: ScorerName, folder: Path) -> Scorer:
    """Return the scorer of ``mlflow:MODULE:NAME``.

    It is called with those of these arguments that it accepts: ``inputs`` =
    ``{"messages": […]}``, ``outputs`` = the text of the answer, and ``expectations`` =
    ``{"expected_response": …}``. True, ``yes`` and 1 are the best score. ``None`` and a feedback
    with an error are not judgements.

    Args:
        name: Parsed name. MODULE is an importable module, or a file that ends in ``.py``.
        folder: Folder for a relative path of a file.

    Raises:
        NotFoundError: There is no such module or name.
        UsageError: It is not an MLflow scorer, needs traces, or its module raised an exception.
    """
    module_name, _, attribute = name.argument.rpartition(":")
    if not module_name or not attribute:
        raise UsageError(f"scorer {name.spec!r}: expected mlflow:MODULE:FUNCTION")
    module = _import(name, module_name, folder)
    if not hasattr(module, attribute):
        raise NotFoundError(f"scorer {name.spec!r}: {module_name} has no {attribute!r}")
    scorer = getattr(module, attribute)
    needs_expected = check(name.spec, scorer)
    source = inspect.getsource(module) if getattr(module, "__file__", None) else ""
    return named_scorer(
        name, judge_of(scorer), needs_expected=needs_expected, source=f"{attribute} of {source}"
    )


def judge_of(scorer: Any) -> Judge:
    """Return the function that calls a scorer of MLflow with an example and an answer."""

    def judge(example: Example, answer: str) -> float:
        wanted = {} if example.expected is None else {"expected_response": example.expected}
        inputs = {"messages": [dict(message) for message in example.messages]}
        return number(scorer.run(inputs=inputs, outputs=answer, expectations=wanted))

    return judge


def _import(name: ScorerName, module_name: str, folder: Path) -> ModuleType:
    try:
        if module_name.endswith(".py"):
            return _import_file(name, folder / module_name)
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise UsageError(f"scorer {name.spec!r}: {module_name} imports {error.name}") from error
        raise NotFoundError(
            f"scorer {name.spec!r}: no module {module_name!r}",
            next_command=f"install the module, or give its file: mlflow:{module_name}.py:FUNCTION",
        ) from error
    except NotFoundError:
        raise
    except Exception as error:  # a module may be any user's code
        raise UsageError(
            f"scorer {name.spec!r}: importing {module_name} raised {type(error).__name__}: {error}"
        ) from error


def _import_file(name: ScorerName, path: Path) -> ModuleType:
    if not path.is_file():
        raise NotFoundError(f"scorer {name.spec!r}: {path}: no such file")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise NotFoundError(f"scorer {name.spec!r}: {path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check(spec: str, scorer: Any) -> bool:
    """Return whether a scorer needs the expected answer; refuse one that cannot be called here.

    Raises:
        UsageError: It is no scorer of MLflow, or needs traces.
    """
    from mlflow.genai.scorers import Scorer as MlflowScorer

    if not isinstance(scorer, MlflowScorer):
        raise UsageError(
            f"scorer {spec!r}: expected a scorer of MLflow, received {type(scorer).__name__}",
            next_command="decorate the function with @mlflow.genai.scorer, or give an instance of a scorer class",
        )
    parameters = inspect.signature(scorer.__call__).parameters
    needed = {key for key, p in parameters.items() if p.default is inspect.Parameter.empty}
    if traced := sorted(needed & set(TRACED)):
        raise UsageError(
            f"scorer {spec!r}: needs {traced[0]!r},"
            " but a scorer has only inputs, outputs and expectations"
        )
    return "expectations" in needed


def number(result: Any) -> float:
    """Return the result of a scorer as a number; NaN if it is ``None``.

    Raises:
        Unscored: It is an error, or a word that is no rating.
    """
    error = getattr(result, "error", None)
    if error is not None:
        raise Unscored(str(getattr(error, "error_message", None) or error))
    value = getattr(result, "value", result)
    if value is None:
        return math.nan
    if isinstance(value, str):
        if value.lower() not in RATINGS:
            raise Unscored(f"expected yes or no, received {value!r:.80}")
        return RATINGS[value.lower()]
    return float(value)
