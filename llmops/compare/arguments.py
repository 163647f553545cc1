"""What a Python caller may pass to a comparison, and what to do instead of what it may not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict

from pydantic import ValidationError

from llmops.errors import UsageError
from llmops.recipe.schema import Compare
from llmops.records import ModelFiles, RemoteModel, Side, Suite

if TYPE_CHECKING:
    from pandas import DataFrame

ScorerLike = str | Callable[..., Any]
"""A scorer by name, a function, or a scorer of MLflow."""
SuiteLike: TypeAlias = "str | Path | Suite | Sequence[Mapping[str, Any]] | DataFrame"
"""A suite, or whatever ``load_suite`` reads; MLflow's datasets too."""


class Settings(TypedDict, total=False):
    """Keys of the recipe's ``compare`` section that a caller may set by keyword."""

    method: str
    engine: str
    max_tokens: int
    temperature: float
    repeats: int
    batch_size: int
    traces: bool
    confidence: float


def with_settings(config: Compare | None, settings: Mapping[str, Any]) -> Compare:
    """Return the configuration with some keys set.

    Args:
        config: The configuration; ``None`` for the defaults.
        settings: Keys of ``Settings``.

    Raises:
        UsageError: A key is unknown or a value is not allowed; all problems are reported.
    """
    if config is not None and not isinstance(config, Compare):
        raise UsageError(
            f"config: expected llmops.recipe.Compare, received {type(config).__name__}",
            next_command="pass settings by keyword, such as compare(…, max_tokens=8)",
        )
    allowed = list(Settings.__annotations__)
    for name in settings:
        if name not in allowed:
            near = get_close_matches(name, allowed, n=1)
            meant = f"; did you mean {near[0]}?" if near else ""
            raise UsageError(f"compare: no setting {name!r}; allowed: {', '.join(allowed)}{meant}")
    try:
        return Compare.model_validate({**(config or Compare()).model_dump(), **settings})
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, found['loc']))}: {found['msg']}" for found in error.errors()
        ]
        raise UsageError("compare: " + "; ".join(p.removeprefix(": ") for p in problems)) from error


def require_side(side: Any) -> str | Side:
    """Return a side as it was passed, if it is the name of one or a resolved one.

    Raises:
        UsageError: It is something else, such as a loaded model.
    """
    if isinstance(side, (str, ModelFiles, RemoteModel)):
        return side
    uri = getattr(side, "model_uri", None) or getattr(side, "uri", None)
    known = f"pass its URI, {uri!r}" if isinstance(uri, str) else ""
    raise UsageError(
        "compare: expected the name of a side, such as models:/NAME/VERSION or a registered base;"
        f" received {type(side).__name__}",
        next_command=known
        or "log the model with llmops.log_model(model, registered_model_name=NAME), then pass"
        " 'models:/NAME/VERSION'",
    )
