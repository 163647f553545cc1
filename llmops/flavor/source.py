"""A model as the files of the version that it becomes: checked, in one folder, with its pin."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from llmops.engine.local import preflight
from llmops.files import digest, staging
from llmops.flavor import tokenizers
from llmops.flavor.given import Given
from llmops.models import adapters, bases, peft_config, pin, safety
from llmops.models.pin import Pin
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

    def pin(self) -> Pin:
        """Return what ``base.json`` will say."""
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
    """Copy what a version will store into its folder.

    Args:
        given: The user's files.
        base: The adapter's base; ``None`` for a full model.
        folder: Folder of a ``staging()``.

    Raises:
        UsageError: No tokenizer, or settings that llmops does not do.
        LlmopsError: A file is missing, damaged or unsafe; the adapter does not fit its base.
    """
    if base is None:
        return _full(given, folder)
    source = _adapter(given, base, folder)
    if given.live is not None:
        peft_config.check_same_base(given.live, base)
    return source


def _adapter(given: Given, base: BaseModel, folder: Path) -> Source:
    peft_config.check_fits(given.directory, base)
    _copy_adapter(given, base, folder / adapters.ADAPTER_FOLDER)
    candidate = given.tokenizer or given.directory
    own = tokenizers.own_files(candidate, base, folder / adapters.TOKENIZER_FOLDER)
    if own is not None:
        preflight.check_tokenizer(own, base.directory)
    return Source(folder, base, given.config or {})


def _copy_adapter(given: Given, base: BaseModel, target: Path) -> None:
    """Write the two files, the configuration freed of what differs between machines and processes."""
    target.mkdir()
    # The directory on the training machine means nothing elsewhere; the pin says which base.
    config = {**(given.config or {}), "base_model_name_or_path": base.name}
    for key in ("target_modules", "exclude_modules", "modules_to_save"):
        if isinstance(config.get(key), list):
            config[key] = sorted(config[key])  # PEFT writes sets in random order
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    (target / adapters.CONFIG).write_text(text, encoding="utf-8")
    shutil.copyfile(given.directory / adapters.WEIGHTS, target / adapters.WEIGHTS)


def _full(given: Given, folder: Path) -> Source:
    safety.check_code(given.directory)
    safety.check_weights(given.directory)
    staged = bases.copy(given.directory, folder)
    if given.tokenizer is not None:
        for name in (*tokenizers.FILES, tokenizers.TEMPLATE):
            if (given.tokenizer / name).is_file():
                shutil.copyfile(given.tokenizer / name, staged / name)
    with staging.copy_of(given.directory, staged):
        safety.check_model(staged)
        preflight.check_model(staged)
    return Source(folder, None, {}, given.origin)
