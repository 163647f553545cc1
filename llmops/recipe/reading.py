"""Reading of a YAML file: its content, and its nodes, which know their lines.

Read with PyYAML: ruamel.yaml stops at the first duplicate key, and accepts unknown tags as values.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from llmops.errors import ConfigError
from llmops.recipe import catalog

RECIPE, POLICY = "recipe", "policy"
PARTS = {RECIPE: "stages", POLICY: "keys, such as model and gate"}
"""Each kind of file, with what it is a mapping of."""
OF_A_RECIPE = {"name", "data", "train", "flavor", "serve", "cost", "seed"}
"""Top-level keys that only a recipe has."""
OF_A_POLICY = {"model", "suite"}
"""Top-level keys that only a policy has."""


def read(path: Path, kind: str = "recipe") -> tuple[dict[str, Any], yaml.Node]:
    """Return the content of a file, and its nodes, which know their lines.

    Args:
        path: A YAML file.
        kind: What it should hold, for an error: ``recipe`` or ``policy``.

    Raises:
        NotFoundError: The file does not exist.
        ConfigError: It is too large, is not YAML, has aliases or duplicate keys, or is not a mapping.
    """
    text = catalog.read(path, kind)
    try:
        _refuse_aliases(path, text)
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        what = getattr(error, "problem", None) or str(error)
        raise ConfigError([f"{path}{line}: not valid YAML: {what}"]) from error
    except (ValueError, AttributeError, RecursionError) as error:  # from odd scalars
        raise ConfigError([f"{path}: cannot be read as YAML: {error}"]) from error
    if not isinstance(content, dict) or tree is None:
        raise ConfigError(
            [f"{path}: a {kind} is a mapping of {PARTS[kind]}, received {_type(content)}"]
        )
    if duplicates := _duplicate_keys(path, tree):
        raise ConfigError(duplicates, next_command=show(path, kind))
    return content, tree


def show(path: Path, kind: str) -> str:
    """Return the command that helps with a wrong file."""
    return f"llmops validate {path}" if kind == POLICY else f"llmops recipes show {path}"


def refuse_other_kind(path: Path, content: Mapping[str, Any], kind: str) -> None:
    """Refuse a policy where a recipe is expected, and the other way round.

    Raises:
        ConfigError: As said, with the command that takes the file.
    """
    found = kind_of(content)
    if found == kind:
        return
    article = {RECIPE: "a recipe", POLICY: "a policy"}
    command = f"llmops gate {'--policy ' if found == POLICY else ''}{path}"
    raise ConfigError([f"{path}: is {article[found]}, not {article[kind]}"], next_command=command)


def kind_of(content: Mapping[str, Any]) -> str:
    """Return whether a file's content is a ``recipe`` or a ``policy``, by its top-level keys."""
    is_policy = not OF_A_RECIPE & content.keys() and bool(OF_A_POLICY & content.keys())
    return POLICY if is_policy else RECIPE


def _refuse_aliases(path: Path, text: str) -> None:
    """Refuse YAML aliases: a recipe needs none, and a few lines can expand to gigabytes."""
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            place = f"{path}:{event.start_mark.line + 1}" if event.start_mark else str(path)
            raise ConfigError([f"{place}: YAML aliases (*{event.anchor}) are not allowed"])


def _duplicate_keys(path: Path, node: yaml.Node) -> list[str]:
    """Return a problem for each duplicate key: YAML forbids them, PyYAML silently keeps the last."""
    if isinstance(node, yaml.SequenceNode):
        return [problem for child in node.value for problem in _duplicate_keys(path, child)]
    if not isinstance(node, yaml.MappingNode):
        return []
    problems, seen = [], set()
    for key, value in node.value:
        if key.value in seen:
            problems.append(f"{path}:{key.start_mark.line + 1}: {key.value}: duplicate key")
        seen.add(key.value)
        problems += _duplicate_keys(path, value)
    return problems


def _type(value: object) -> str:
    return "nothing" if value is None else type(value).__name__
