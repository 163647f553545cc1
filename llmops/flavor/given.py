"""What a user hands in, whatever its form, as checked files in a directory."""

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
    """A model as its user's files.

    Attributes:
        directory: A PEFT adapter, or a whole model.
        origin: See ``records.BaseModel``.
        config: PEFT's configuration of an adapter; ``None`` for a whole model.
        tokenizer: Directory of a tokenizer that was named, ``None`` if none was.
        live: The ``PeftModel`` that was handed in, ``None`` if files were.
    """

    directory: Path
    origin: str | None
    config: dict[str, Any] | None
    tokenizer: Path | None
    live: Any = None

    def base(self, named: str | BaseModel | None) -> str | BaseModel | None:
        """Return the base to pin: the one that was named, else the adapter's own word for it.

        Args:
            named: What the user said.

        Returns:
            A record or a reference, ``None`` for a whole model.

        Raises:
            UsageError: An adapter of no base, or a whole model with one.
        """
        if self.config is not None:
            found = self.config.get("base_model_name_or_path") if named is None else named
            if found:
                return found if isinstance(found, BaseModel) else str(found)
            raise UsageError(
                f"{self.directory / adapters.CONFIG} names no base model",
                next_command="log_model(…, base='NAME'), one of `llmops base ls`",
            )
        if named is None:
            return None
        name = named if isinstance(named, str) else named.name
        raise UsageError(
            f"base={name!r} was given, but {self.directory} holds no {adapters.CONFIG}:"
            " only an adapter has a base"
        )


def receive(model: Any, folder: Path, options: SourceOptions) -> Given:
    """Bring any input form into a directory.

    Args:
        model: See ``flavor.log_model``.
        folder: Empty folder of a ``staging()``; a live model is saved in it.
        options: Which tokenizer, adapter and revision are meant.

    Raises:
        UsageError: Not a model, or an argument that does not belong to it.
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
    """Return the model as a directory, and where it came from."""
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
                f"the model has several adapters ({', '.join(names)}); a version holds one:"
                " name it with adapter_name=…, and log each as a version of its own"
            )
        (adapter_name,) = names
    if adapter_name not in names:
        raise UsageError(f"adapter_name={adapter_name!r}: the model has {', '.join(names)}")
    # Without `save_embedding_layers` PEFT asks the hub whether the vocabulary was changed.
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
