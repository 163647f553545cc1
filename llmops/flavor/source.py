"""The files of a version to be: checked, in one folder, with their pin."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from llmops.engine.chat_format import NO_TEMPLATE
from llmops.engine.local import preflight
from llmops.files import digest, staging
from llmops.flavor import tokenizers
from llmops.flavor.given import Given
from llmops.models import adapters, bases, peft_config, pin, safety
from llmops.models.pin import Pin
from llmops.progress import say
from llmops.records import BaseModel


@dataclass(frozen=True)
class Source:
    """A model as files, in a folder laid out like the version to be.

    Attributes:
        folder: Folder with ``adapter/`` and perhaps ``tokenizer/``, or with ``model/``.
        base: The adapter's base; ``None`` for a full model.
        config: PEFT's configuration of the adapter; empty for a full model.
        origin: Origin of a full model, see ``records.BaseModel``; ``None`` for an adapter.
        name: Name of a full model.
    """

    folder: Path
    base: BaseModel | None
    config: dict[str, Any]
    origin: str | None = None
    name: str = "model"

    @cached_property
    def digest(self) -> str:
        """Digest of the bytes that the version stores."""
        if self.base is None:
            return digest.of_model(self.folder / bases.MODEL_FOLDER)
        return adapters.content_digest(self.folder)

    def pin(self) -> Pin:
        """Return the pin of the version."""
        if self.base is None:
            return Pin(base=self.name, digest=self.digest, origin=self.origin)
        return Pin(
            base=self.base.name,
            digest=self.base.digest,
            source=self.base.uri if pin.SOURCE.fullmatch(self.base.uri) else None,
            origin=self.base.origin,
            adapter_digest=self.digest,
        )


def of_given(given: Given, base: BaseModel | None, folder: Path) -> Source:
    """Copy the files that a version will store into its folder.

    Args:
        given: The user's files.
        base: The adapter's base; ``None`` for a full model.
        folder: Folder of a ``staging()``.

    Raises:
        UsageError: There is no tokenizer, or a setting is not supported.
        LlmopsError: A file is missing, damaged or unsafe; the adapter does not fit its base.
    """
    if base is None:
        return _full(given, folder)
    source = _adapter(given, base, folder)
    if given.live is not None:
        peft_config.check_same_base(given.live, base)
    return source


def _adapter(given: Given, base: BaseModel, folder: Path) -> Source:
    repeated = peft_config.check_fits(given.directory, base)
    _copy_adapter(given, base, folder / adapters.ADAPTER_FOLDER, repeated)
    candidate = given.tokenizer or given.directory
    own = tokenizers.own_files(candidate, base, folder / adapters.TOKENIZER_FOLDER)
    if own is not None:
        preflight.check_tokenizer(own, base.directory)
    elif tokenizers.default_template(base.directory) is None:
        say(f"warning: {given.directory}: {NO_TEMPLATE}")
    return Source(folder, base, given.config or {})


def _copy_adapter(given: Given, base: BaseModel, target: Path, repeated: set[str]) -> None:
    """Copy weights and configuration, without what differs between machines and processes.

    Args:
        given: The adapter.
        base: Its base.
        target: Folder to create.
        repeated: Names of tensors that the base has too, which are left out.
    """
    target.mkdir()
    # A directory of the training machine means nothing elsewhere; the pin identifies the base.
    config = {**(given.config or {}), "base_model_name_or_path": base.name}
    if config.get("revision"):
        config["revision"] = None
    foreign = peft_config.training_only(config)
    if foreign:
        say(f"note: {adapters.CONFIG}: {', '.join(foreign)}: settings of the training, not stored")
    config = {name: value for name, value in config.items() if name not in foreign}
    for key in ("target_modules", "exclude_modules", "modules_to_save"):
        if isinstance(config.get(key), list):
            config[key] = sorted(config[key])  # PEFT writes sets in random order
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    (target / adapters.CONFIG).write_text(text, encoding="utf-8")
    _copy_weights(given.directory / adapters.WEIGHTS, target / adapters.WEIGHTS, repeated)


def _copy_weights(source: Path, target: Path, repeated: set[str]) -> None:
    """Copy a safetensors file, byte by byte unless some of its tensors are left out."""
    from safetensors.torch import load_file, save_file

    if not repeated:
        shutil.copyfile(source, target)
        return
    tensors = {name: t for name, t in load_file(source).items() if name not in repeated}
    save_file(tensors, target, metadata={"format": "pt"})


def _full(given: Given, folder: Path) -> Source:
    safety.check_code(given.directory)
    safety.check_weights(given.directory)
    staged = bases.copy(given.directory, folder)
    if given.tokenizer is not None:
        for name in (*tokenizers.FILES, tokenizers.TEMPLATE):
            if (given.tokenizer / name).is_file():
                shutil.copyfile(given.tokenizer / name, staged / name)
    tokenizers.keep_template(given.tokenizer or given.directory, staged)
    with staging.copy_of(given.directory, staged):
        safety.check_model(staged)
        preflight.check_model(staged)
    return Source(folder, None, {}, given.origin)
