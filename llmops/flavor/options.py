"""Options of ``log_model`` and ``save_model``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

from llmops.errors import UsageError
from llmops.models import load_options
from llmops.records import BaseModel
from llmops.records.names import check_alias, check_model_name


class SaveOptions(TypedDict, total=False):
    """Arguments of every MLflow flavor.

    Attributes:
        signature: Signature that replaces ours, which names the parameters.
        input_example: Input to save beside the model; MLflow also runs the model with it once.
        metadata: Additional entries of the ``MLmodel`` file.
        pip_requirements: Requirements that replace ours.
        extra_pip_requirements: Requirements to add.
        model_config: Defaults for the fields of ``LoadOptions``.
        validate_serving_input: Whether MLflow sends the example to a served model.
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
        adapter_name: The adapter to log, of a PeftModel that has several.
        revision: Branch, tag or commit of a hub id.
    """

    base: str | BaseModel | None = None
    tokenizer: Any = None
    adapter_name: str | None = None
    revision: str | None = None


@dataclass(frozen=True)
class LogOptions:
    """Names, tags and metrics of a model in the store.

    Attributes:
        name: Name of the LoggedModel; by default registered name, rank and digest.
        registered_model_name: Registered model that gets a new version; ``None`` registers none.
        alias: Alias that moves to the new version.
        params: Parameters of the LoggedModel, besides those of the run.
        tags: Tags of the LoggedModel.
        step: Step of the run whose metrics are copied to the LoggedModel.
        save: Arguments of every MLflow flavor.
        version_tags: Tags of the registered version.

    Raises:
        ConfigError: The registry does not allow the name or the alias.
        UsageError: There is an alias but no registered model, or see ``check_save_options``.
    """

    name: str | None = None
    registered_model_name: str | None = None
    alias: str | None = None
    params: Mapping[str, Any] | None = None
    tags: Mapping[str, str] | None = None
    step: int = 0
    save: SaveOptions = field(default_factory=SaveOptions)
    version_tags: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        """Refuse what would fail only after a part is written."""
        if self.registered_model_name is not None:
            check_model_name(self.registered_model_name)
        if self.alias is not None:
            check_alias(self.alias)
            if self.registered_model_name is None:
                raise UsageError(
                    f"alias={self.alias!r} needs registered_model_name: an alias points to a version"
                )
        check_save_options(self.save)

    @property
    def label(self) -> str:
        """Name of the model in progress messages and errors; empty if it has none."""
        return self.registered_model_name or self.name or ""


def check_save_options(options: SaveOptions) -> None:
    """Refuse options that could be stored but would fail later.

    Raises:
        UsageError: An option is unknown, or a ``model_config`` cannot be used for loading.
    """
    unknown = sorted(set(options) - set(SaveOptions.__annotations__))
    if unknown:
        raise UsageError(
            f"unknown argument {', '.join(unknown)}; allowed besides the named arguments:"
            f" {', '.join(SaveOptions.__annotations__)}"
        )
    load_options.read(options.get("model_config") or {}, "model_config")
    for name in ("pip_requirements", "extra_pip_requirements"):
        value = options.get(name)
        if value is not None and not (
            isinstance(value, list) and all(isinstance(line, str) for line in value)
        ):
            raise UsageError(f"{name} must be a list of requirements, received {value!r:.80}")
