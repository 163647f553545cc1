"""What a user hands in to be logged, brought into one form: checked files in a folder."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from llmops.engine.local import preflight
from llmops.errors import NotFoundError, UsageError
from llmops.files import digest, home, staging
from llmops.flavor import tokenizers
from llmops.flavor.bases import ensure_base
from llmops.models import adapters, bases, hub, peft_config, pin, safety
from llmops.records import BaseModel


@dataclass(frozen=True)
class Source:
    """A model as files, in a folder laid out like the version that it becomes.

    Attributes:
        folder: Holds ``adapter/`` and perhaps ``tokenizer/``, or ``model/``.
        base: The adapter's base; ``None`` for a full model.
        config: PEFT's configuration of the adapter; empty for a full model.
        origin: See ``records.BaseModel``; of a full model.
        name: What a full model is called.
    """

    folder: Path
    base: BaseModel | None
    config: dict[str, Any]
    origin: str | None = None
    name: str = "model"

    @cached_property
    def digest(self) -> str:
        """Content digest of what the version stores."""
        if self.base is None:
            return digest.of_model(self.folder / bases.MODEL_FOLDER)
        return adapters.content_digest(self.folder)


def collect(
    model: Any,
    folder: Path,
    *,
    base: str | BaseModel | None = None,
    tokenizer: Any = None,
    adapter_name: str | None = None,
    revision: str | None = None,
) -> Source:
    """Brings any input form into one.

    Args:
        model: See ``flavor.log_model``.
        folder: Empty folder of a ``staging()``.
        base: The base of an adapter.
        tokenizer: A tokenizer, or a directory that holds one.
        adapter_name: Which adapter of a PeftModel that has several.
        revision: Of a hub id.

    Raises:
        UsageError: Not a model, or an argument that does not belong to it.
        LlmopsError: A file is missing, damaged or unsafe; the adapter does not fit its base.
    """
    directory, origin = _directory(model, folder / "given", adapter_name, revision)
    if tokenizer is not None:
        tokenizer = _tokenizer_dir(tokenizer, folder / "tokenizer-given")
    if (directory / adapters.CONFIG).is_file():
        source = _adapter(directory, folder, base, tokenizer)
        if source.base is not None and hasattr(model, "peft_config"):
            peft_config.check_same_base(model, source.base)
        return source
    if base is not None:
        raise UsageError(
            f"base={_name(base)!r} was given, but {directory} holds no {adapters.CONFIG}:"
            " only an adapter has a base"
        )
    return _full(directory, folder, tokenizer, origin)


def _directory(
    model: Any, given: Path, adapter_name: str | None, revision: str | None
) -> tuple[Path, str | None]:
    """The model as a directory, and where it came from."""
    if isinstance(model, (str, Path)):
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
    if hasattr(model, "peft_config"):
        return _save_adapter(model, given, adapter_name), None
    if hasattr(model, "save_pretrained") and hasattr(model, "config"):
        model.save_pretrained(given)
        return given, None
    raise UsageError(
        f"a {type(model).__name__} cannot be logged; allowed: a PeftModel, a transformers model,"
        " an adapter directory, a model directory, or a hub id"
    )


def _save_adapter(model: Any, given: Path, adapter_name: str | None) -> Path:
    """One adapter of a live PeftModel."""
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


def _adapter(
    directory: Path, folder: Path, base: str | BaseModel | None, tokenizer: Path | None
) -> Source:
    config = adapters.check(directory)
    if base is None:
        base = config.get("base_model_name_or_path")
    if not base:
        raise UsageError(
            f"{directory / adapters.CONFIG} names no base model",
            next_command="log_model(…, base='NAME'), one of `llmops base ls`",
        )
    known = base if isinstance(base, BaseModel) else ensure_base(str(base))
    peft_config.check_fits(directory, known)
    _copy_adapter(directory, config, known, folder / adapters.ADAPTER_FOLDER)
    own = tokenizers.own_files(tokenizer or directory, known, folder / adapters.TOKENIZER_FOLDER)
    if own is not None:
        preflight.check_tokenizer(own, known.directory)
    return Source(folder, known, config)


def _copy_adapter(directory: Path, config: dict[str, Any], base: BaseModel, target: Path) -> None:
    """The two files, the configuration freed of what differs between machines and processes."""
    target.mkdir()
    # The directory on the training machine means nothing elsewhere; the pin says which base.
    config = {**config, "base_model_name_or_path": base.name}
    for key in ("target_modules", "exclude_modules", "modules_to_save"):
        if isinstance(config.get(key), list):
            config[key] = sorted(config[key])  # PEFT writes sets in random order
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    (target / adapters.CONFIG).write_text(text, encoding="utf-8")
    shutil.copyfile(directory / adapters.WEIGHTS, target / adapters.WEIGHTS)


def _full(directory: Path, folder: Path, tokenizer: Path | None, origin: str | None) -> Source:
    safety.check_code(directory)
    safety.check_weights(directory)
    staged = bases.copy(directory, folder)
    if tokenizer is not None:
        for name in (*tokenizers.FILES, tokenizers.TEMPLATE):
            if (tokenizer / name).is_file():
                shutil.copyfile(tokenizer / name, staged / name)
    with staging.copy_of(directory, staged):
        safety.check_model(staged)
        preflight.check_model(staged)
    return Source(folder, None, {}, origin)


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


def _name(base: str | BaseModel) -> str:
    return base if isinstance(base, str) else base.name
