"""The tokenizer files that a version must store: those that behave differently from its base's.

Trainers write a copy of the tokenizer beside an adapter. Its bytes may differ (padding state, order
of keys) while it behaves the same; a version stores it only if it behaves differently.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from llmops.errors import IntegrityError
from llmops.models import generation_config, safety
from llmops.records import BaseModel

VOCABULARY = "tokenizer.json"
SETTINGS = "tokenizer_config.json"
TEMPLATE = "chat_template.jinja"
FILES = (
    VOCABULARY,
    SETTINGS,
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "tokenizer.model",
    "spiece.model",
)
# Settings that change the token ids of a text, or where an answer ends.
EFFECTIVE_SETTINGS = ("bos_token", "eos_token", "unk_token", "add_bos_token", "add_eos_token")
STATE = ("truncation", "padding")
"""Entries of ``tokenizer.json`` that only hold the state of the last call."""
IGNORED_GENERATION = ("transformers_version", "_from_model_config")


def own_files(candidate: Path, base: BaseModel, target: Path) -> Path | None:
    """Copy the tokenizer files that behave differently from those of the base.

    Args:
        candidate: Directory that may hold tokenizer files, a template, a generation configuration.
        base: The base model.
        target: Folder to create.

    Returns:
        ``target``, or ``None`` if nothing differs.

    Raises:
        IntegrityError: The vocabulary is larger than the base's embedding, a file is damaged, or
            a link leads out of the directory.
        UsageError: A generation setting is not supported.
    """
    safety.check_links(candidate)
    names: list[str] = []
    if _vocabulary_differs(candidate, base.directory):
        safety.check_vocabulary(
            candidate, safety.vocabulary_size(base.directory), f"base model {base.name}"
        )
        names += [name for name in FILES if (candidate / name).is_file()]
    if _generation(candidate) not in ({}, _generation(base.directory)):
        generation_config.read(candidate / generation_config.FILE)
        names.append(generation_config.FILE)
    template = _template(candidate)
    if template is not None and template != _template(base.directory):
        target.mkdir()
        (target / TEMPLATE).write_text(template, encoding="utf-8")
    for name in names:
        target.mkdir(exist_ok=True)
        shutil.copyfile(candidate / name, target / name)
    return target if target.is_dir() else None


def _vocabulary_differs(candidate: Path, base: Path) -> bool:
    if not (candidate / SETTINGS).is_file() and not (candidate / VOCABULARY).is_file():
        return False
    mine, theirs = _settings(candidate), _settings(base)
    if any(_token(mine.get(key)) != _token(theirs.get(key)) for key in EFFECTIVE_SETTINGS):
        return True
    if (candidate / VOCABULARY).is_file() and (base / VOCABULARY).is_file():
        return _without(candidate / VOCABULARY, STATE) != _without(base / VOCABULARY, STATE)
    return any(_bytes(candidate / name) != _bytes(base / name) for name in FILES[2:])


def _settings(folder: Path) -> dict[str, Any]:
    file = folder / SETTINGS
    return safety.read_json(file) if file.is_file() else {}


def _token(value: Any) -> Any:
    """Return the text of a special token, which older files write as an object."""
    return value.get("content") if isinstance(value, dict) else value


def _template(folder: Path) -> str | None:
    """Return the chat template from its own file or the tokenizer's settings, ``None`` if absent."""
    if (folder / TEMPLATE).is_file():
        try:
            return (folder / TEMPLATE).read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise IntegrityError(f"{folder / TEMPLATE}: damaged, not UTF-8: {error}") from error
    template = _settings(folder).get("chat_template")
    return template if isinstance(template, str) else None


def _generation(folder: Path) -> dict[str, Any]:
    file = folder / generation_config.FILE
    return _without(file, IGNORED_GENERATION) if file.is_file() else {}


def _without(file: Path, keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in safety.read_json(file).items() if key not in keys}


def _bytes(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None
