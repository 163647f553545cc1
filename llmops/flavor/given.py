"""A user's model, in whichever form it is given, as checked files in a directory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmops.errors import NotFoundError, UsageError
from llmops.files import home
from llmops.flavor.options import SourceOptions
from llmops.models import adapters, hub, pin, safety
from llmops.records import BaseModel


@dataclass(frozen=True)
class Given:
    """A user's model as files.

    Attributes:
        directory: Directory of a PEFT adapter or of a full model.
        origin: See ``records.BaseModel``.
        config: PEFT's configuration of an adapter; ``None`` for a full model.
        tokenizer: Directory of the tokenizer that the user named, ``None`` if none was named.
        live: The ``PeftModel`` that was given, ``None`` if files were given.
    """

    directory: Path
    origin: str | None
    config: dict[str, Any] | None
    tokenizer: Path | None
    live: Any = None

    def base(self, named: str | BaseModel | None) -> str | BaseModel | None:
        """Return the base to pin: the one that the user named, else the one in the adapter's file.

        Args:
            named: The base that the user named, if any.

        Returns:
            A record or a reference; ``None`` for a full model.

        Raises:
            UsageError: An adapter has no base, or a base was named for a full model.
        """
        if self.config is not None:
            base = self.config.get("base_model_name_or_path") if named is None else named
            if base:
                return base if isinstance(base, BaseModel) else str(base)
            raise UsageError(
                f"{self.directory / adapters.CONFIG} names no base model",
                next_command="log_model(…, base='NAME') with a name from `llmops base ls`",
            )
        if named is None:
            return None
        name = named if isinstance(named, str) else named.name
        raise UsageError(
            f"base={name!r} was given, but {self.directory} holds no {adapters.CONFIG}:"
            " only an adapter has a base"
        )


def receive(model: Any, folder: Path, options: SourceOptions) -> Given:
    """Bring a model in any form into a directory.

    Args:
        model: See ``flavor.log_model``.
        folder: Empty folder of a ``staging()``; a live model is saved in it.
        options: Which tokenizer, adapter and revision are meant.

    Raises:
        UsageError: The input is no model, or an argument does not apply to it.
        LlmopsError: A file of an adapter is missing, damaged or unsafe.
    """
    directory, origin = _directory(model, folder / "given", options)
    tokenizer = None
    if options.tokenizer is not None:
        tokenizer = _tokenizer_dir(options.tokenizer, folder / "tokenizer-given")
    config = adapters.check(directory) if (directory / adapters.CONFIG).is_file() else None
    live = model if config is not None and hasattr(model, "peft_config") else None
    return Given(directory, origin, config, tokenizer, live)


def _directory(model: Any, given: Path, options: SourceOptions) -> tuple[Path, str | None]:
    """Return the model's directory and its origin."""
    if isinstance(model, (str, Path)):
        return _named(model, options.revision)
    if hasattr(model, "peft_config"):
        return _save_adapter(model, given, options.adapter_name), None
    if hasattr(model, "save_pretrained") and hasattr(model, "config"):
        model.save_pretrained(given)
        return given, None
    raise UsageError(
        f"a {type(model).__name__} cannot be logged; allowed: a PeftModel, a transformers model,"
        " an adapter directory, a model directory, or a hub id"
    )


def _named(model: str | Path, revision: str | None) -> tuple[Path, str | None]:
    path = home.directory(model)
    if path is not None:
        return path, pin.origin_of_directory(path)
    if hub.HUB_ID.fullmatch(str(model)) and not Path(model).exists():
        snapshot = hub.download(str(model), revision)
        return snapshot.directory, snapshot.origin
    raise NotFoundError(
        f"model {str(model)!r}: neither a directory nor a hub id (OWNER/NAME)",
        next_command="name a PEFT adapter directory, a model directory, or a hub id",
    )


def _save_adapter(model: Any, given: Path, adapter_name: str | None) -> Path:
    """Save one adapter of a live PeftModel."""
    names = list(model.peft_config)
    if adapter_name is None:
        if len(names) > 1:
            raise UsageError(
                f"the model has several adapters ({', '.join(names)}); a version holds one",
                next_command="log_model(…, adapter_name=NAME), once for each adapter",
            )
        (adapter_name,) = names
    if adapter_name not in names:
        raise UsageError(f"adapter_name={adapter_name!r}: the model has {', '.join(names)}")
    # Otherwise PEFT asks the hub whether the vocabulary was changed.
    model.save_pretrained(given, selected_adapters=[adapter_name], save_embedding_layers=False)
    return given if adapter_name == "default" else given / adapter_name


def _tokenizer_dir(tokenizer: Any, folder: Path) -> Path:
    if isinstance(tokenizer, (str, Path)):
        path = home.directory(tokenizer)
        if path is not None:
            safety.check_code(path)
            return path
        raise NotFoundError(f"tokenizer {str(tokenizer)!r}: not a directory")
    if not hasattr(tokenizer, "save_pretrained"):
        raise UsageError(
            f"tokenizer must be a tokenizer or a directory with one, received {tokenizer!r:.80}"
        )
    tokenizer.save_pretrained(folder)
    return folder
