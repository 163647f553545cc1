"""A user's model, in whichever form it is given, as checked files in a directory."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmops.errors import NotFoundError, UsageError
from llmops.files import home
from llmops.flavor.options import SourceOptions
from llmops.models import adapters, hub, pin, safety
from llmops.models.adapter_tensors import PREFIX
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

    def revision(self, base: str | BaseModel | None) -> str | None:
        """Return the revision of the base that the adapter's file names; ``None`` for another base."""
        config = self.config or {}
        named = base is not None and base == config.get("base_model_name_or_path")
        revision = config.get("revision") if named else None
        return None if revision is None or isinstance(base, BaseModel) else str(revision)


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
    _check_not_above(directory)
    config = adapters.check(directory) if (directory / adapters.CONFIG).is_file() else None
    live = model if config is not None and hasattr(model, "peft_config") else None
    return Given(directory, origin, config, tokenizer, live)


def _directory(model: Any, given: Path, options: SourceOptions) -> tuple[Path, str | None]:
    """Return the model's directory and its origin."""
    if isinstance(model, (str, Path)):
        return _named(model, options.revision)
    if hasattr(model, "peft_config"):
        name = _adapter_name(model, options.adapter_name)
        if hasattr(model, "get_base_model"):
            return _save_adapter(model, given, name), None
        return _save_inside(model, given, name), None
    if hasattr(model, "save_pretrained") and hasattr(model, "config"):
        model.save_pretrained(given)
        return given, None
    raise UsageError(
        f"a {type(model).__name__} cannot be logged; allowed: a PeftModel, a transformers model,"
        " an adapter directory, a model directory, or a hub id"
    )


def _check_not_above(directory: Path) -> None:
    """Refuse a directory that holds no model itself, but whose folders do.

    A trainer writes ``checkpoint-N`` there; PEFT writes an adapter that is not called ``default``
    into a folder of its name.

    Raises:
        NotFoundError: It is one.
    """
    files = adapters.CONFIG, safety.CONFIG
    if any((directory / name).is_file() for name in files):
        return
    inside = [
        folder
        for folder in directory.iterdir()
        if folder.is_dir() and any((folder / name).is_file() for name in files)
    ]
    if inside:
        inside.sort(key=lambda folder: [int(n) for n in re.findall(r"\d+", folder.name)])
        raise NotFoundError(
            f"{directory}: holds no {adapters.CONFIG} and no {safety.CONFIG}, but its folders do:"
            f" {', '.join(folder.name for folder in inside)}",
            next_command=f"did you mean log_model({str(inside[-1])!r}, …)?",
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


def _adapter_name(model: Any, named: str | None) -> str:
    """Return the name of the adapter to log, of a live model that has at least one."""
    names = list(model.peft_config)
    if named is None and len(names) == 1:
        return str(names[0])
    if named is None:
        raise UsageError(
            f"the model has several adapters ({', '.join(names)}); a version holds one",
            next_command="log_model(…, adapter_name=NAME), once for each adapter",
        )
    if named not in names:
        raise UsageError(f"adapter_name={named!r}: the model has {', '.join(names)}")
    return named


def _save_adapter(model: Any, given: Path, name: str) -> Path:
    """Save one adapter of a live PeftModel."""
    # Otherwise PEFT asks the hub whether the vocabulary was changed.
    model.save_pretrained(given, selected_adapters=[name], save_embedding_layers=False)
    return given if name == "default" else given / name


def _save_inside(model: Any, given: Path, name: str) -> Path:
    """Save one adapter inside a transformers model, made by its ``load_adapter`` or ``add_adapter``."""
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    tensors = get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False)
    model.peft_config[name].save_pretrained(given)
    copies = {f"{PREFIX}{key}": t.detach().cpu().clone() for key, t in tensors.items()}
    save_file(copies, given / adapters.WEIGHTS, metadata={"format": "pt"})
    return given


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
