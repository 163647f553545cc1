"""What all sections of a recipe share: unknown keys are refused, and names come from closed lists."""

from __future__ import annotations

from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
)

from llmops.errors import UsageError
from llmops.recipe import engine_names, scorer_names
from llmops.records.names import ALIAS, MODEL_NAME, RESERVED_ALIAS

ModelName = Annotated[str, Field(pattern=rf"^{MODEL_NAME.pattern}$")]


def _free_alias(alias: str) -> str:
    if RESERVED_ALIAS.fullmatch(alias):
        raise ValueError("`latest` and v1, v2 … are reserved by the registry")
    return alias


Alias = Annotated[str, Field(pattern=rf"^{ALIAS.pattern}$"), AfterValidator(_free_alias)]
Fraction = Annotated[float, Field(gt=0, lt=1)]


def allows_code(info: ValidationInfo) -> bool:
    """Return whether the caller of a validation allows scorers that import code."""
    return bool((info.context or {}).get("code"))


def _scorer(text: str, info: ValidationInfo) -> str:
    """Check that a scorer is known, and runs no code unless the caller allows it."""
    try:
        scorer_names.parse(text, code=allows_code(info))
    except UsageError as error:
        raise ValueError(error.message) from error
    return text


Scorer = Annotated[str, AfterValidator(_scorer)]


def _engine(name: str) -> str:
    """Check that an engine loads the files of a version: see ``llmops.recipe.engine_names``."""
    try:
        engine_names.check(name)
    except UsageError as error:
        raise ValueError(error.message) from error
    return name


EngineName = Annotated[
    str,
    AfterValidator(_engine),
    WithJsonSchema({"type": "string", "enum": engine_names.selectable()}),
]


class Section(BaseModel):
    """A part of a recipe: immutable; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
