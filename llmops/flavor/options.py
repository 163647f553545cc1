"""What a caller of ``log_model`` and ``save_model`` may say besides the model itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

from llmops.errors import UsageError
from llmops.models import load_options
from llmops.records import BaseModel
from llmops.records.names import check_alias, check_model_name


class SaveOptions(TypedDict, total=False):
    """What every MLflow flavor takes.

    Attributes:
        signature: Replaces ours, which names the parameters.
        input_example: Saved beside the model; MLflow then tries the model once with it.
        metadata: Free entries of the ``MLmodel`` file.
        pip_requirements: Replaces the requirements.
        extra_pip_requirements: Added to them.
        model_config: Defaults of the fields of ``LoadOptions``.
        validate_serving_input: Whether MLflow tries the example against a served model.
    """

    signature: Any
    input_example: Any
    metadata: Mapping[str, Any]
    pip_requirements: list[str]
    extra_pip_requirements: list[str]
    model_config: Mapping[str, Any]
    validate_serving_input: bool


@dataclass(frozen=True)
class SourceOptions:
    """Which model is meant, and what belongs to it.

    Attributes:
        base: Base of an adapter: a record, or a name, a directory or a hub id as ``llmops base
            add`` takes; by default what its ``adapter_config.json`` names.
        tokenizer: A tokenizer or a directory with one.
        adapter_name: Which adapter of a PeftModel that has several.
        revision: Branch, tag or commit of a hub id.
    """

    base: str | BaseModel | None = None
    tokenizer: Any = None
    adapter_name: str | None = None
    revision: str | None = None


@dataclass(frozen=True, kw_only=True)
class LogOptions:
    """What the store gets to know about a model that is logged.

    Attributes:
        name: Name of the LoggedModel; by default made of the registered name, rank and digest.
        registered_model_name: Registered model that gets a new version; ``None`` registers none.
        alias: Alias that moves to the new version.
        params: Parameters of the LoggedModel, besides those of the run.
        tags: Tags of the LoggedModel.
        version_tags: Tags of the registered version.
        step: Step of the run whose metrics belong to the model.
        save: What every MLflow flavor takes.

    Raises:
        ConfigError: The registry refuses such a name or alias.
        UsageError: An alias without a version, or see ``check_save_options``.
    """

    name: str | None = None
    registered_model_name: str | None = None
    alias: str | None = None
    params: Mapping[str, Any] | None = None
    tags: Mapping[str, str] | None = None
    version_tags: Mapping[str, str] | None = None
    step: int = 0
    save: SaveOptions = field(default_factory=SaveOptions)

    def __post_init__(self) -> None:
        """Refuses what would fail later, when half of it is written."""
        if self.registered_model_name is not None:
            check_model_name(self.registered_model_name)
        if self.alias is not None:
            check_alias(self.alias)
            if self.registered_model_name is None:
                raise UsageError(
                    f"alias={self.alias!r} needs registered_model_name: it names a version"
                )
        check_save_options(self.save)

    @property
    def label(self) -> str:
        """What the model is called while it is being written; empty if it has no name yet."""
        return self.registered_model_name or self.name or ""


def check_save_options(options: SaveOptions) -> None:
    """Refuse what would be stored and fail later.

    Raises:
        UsageError: An option that MLflow's flavors do not have, or a ``model_config`` that cannot
            be loaded with.
    """
    unknown = sorted(set(options) - set(SaveOptions.__annotations__))
    if unknown:
        raise UsageError(
            f"unknown argument {', '.join(unknown)}; allowed besides those of the signature:"
            f" {', '.join(SaveOptions.__annotations__)}"
        )
    load_options.read(options.get("model_config") or {}, "model_config")
    for name in ("pip_requirements", "extra_pip_requirements"):
        value = options.get(name)
        if value is not None and not (
            isinstance(value, list) and all(isinstance(line, str) for line in value)
        ):
            raise UsageError(f"{name} must be a list of requirements, received {value!r:.80}")
