"""The tokenizer files that a version must store: those that behave differently from its base's.

Trainers write a copy of the tokenizer beside an adapter. Its bytes may differ (padding state, order
of keys) while it behaves the same; a version stores it only if it behaves differently.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from llmops.errors import IntegrityError, UsageError
from llmops.models import generation_config, safety
from llmops.records import BaseModel

VOCABULARY = "tokenizer.json"
SETTINGS = "tokenizer_config.json"
TEMPLATE = "chat_template.jinja"
MORE_TEMPLATES = "additional_chat_templates"
DEFAULT = "default"
"""The chat template that is used of several; the others are for tools or documents."""
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
    template = default_template(candidate)
    if template is not None and template != default_template(base.directory):
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


def keep_template(source: Path, copy: Path) -> None:
    """Write the default chat template of a directory into a copy of its files that renders another.

    A copy has no folders, thus no templates from one; and it may have a template file from elsewhere.
    """
    template = default_template(source)
    if template not in (None, default_template(copy)):
        (copy / TEMPLATE).write_text(str(template), encoding="utf-8")


def default_template(folder: Path) -> str | None:
    """Return the default chat template, ``None`` if there is no template.

    transformers reads it from its own file, else from the tokenizer's settings. These may list
    several templates by name, as files in a folder may.

    Raises:
        UsageError: There are several templates, and none of them is the default.
        IntegrityError: A file is damaged.
    """
    files = {DEFAULT: folder / TEMPLATE} if (folder / TEMPLATE).is_file() else {}
    files |= {file.stem: file for file in (folder / MORE_TEMPLATES).glob("*.jinja")}
    template = {name: _text(file) for name, file in files.items()} or _settings(folder).get(
        "chat_template"
    )
    if isinstance(template, list):
        template = _by_name(template, folder / SETTINGS)
    if not isinstance(template, dict):
        return template if isinstance(template, str) else None
    if template and DEFAULT not in template:
        raise UsageError(
            f"{folder}: has the chat templates {', '.join(sorted(template))}, and none of them is the"
            f" {DEFAULT!r}",
            next_command="set tokenizer.chat_template to one of them, and pass"
            " log_model(…, tokenizer=TOKENIZER)",
        )
    return template.get(DEFAULT)


def _by_name(templates: list[Any], file: Path) -> dict[str, str]:
    """Return the templates of a list by name.

    Raises:
        IntegrityError: An entry has no name or no text.
    """
    named = {
        entry["name"]: entry["template"]
        for entry in templates
        if isinstance(entry, dict)
        and isinstance(entry.get("name"), str)
        and isinstance(entry.get("template"), str)
    }
    if len(named) != len(templates):
        raise IntegrityError(
            f"{file}: damaged: each entry of chat_template needs a name of its own and a template"
        )
    return named


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise IntegrityError(f"{file}: damaged, not UTF-8: {error}") from error


def _generation(folder: Path) -> dict[str, Any]:
    file = folder / generation_config.FILE
    return _without(file, IGNORED_GENERATION) if file.is_file() else {}


def _without(file: Path, keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in safety.read_json(file).items() if key not in keys}


def _bytes(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None
