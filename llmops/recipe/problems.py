"""The problems of a recipe or policy file as lines: file, line, key, received, allowed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from llmops.recipe.scorer_names import closest
from llmops.recipe.section import Section


def problems(path: Path, tree: yaml.Node, error: ValidationError, root: type[Section]) -> list[str]:
    """Return a line for each problem of a file, in the order of the file.

    Args:
        path: The file.
        tree: Its nodes, which know their lines.
        error: What the schema refuses.
        root: The schema.
    """
    return sorted({_problem(path, tree, details, root) for details in _causes(error)}, key=_by_line)


def _causes(error: ValidationError) -> list[Mapping[str, Any]]:
    """Return pydantic's problems without those that only follow from others."""
    problems: list[Mapping[str, Any]] = list(error.errors())

    def follows(problem: Mapping[str, Any]) -> bool:
        place = problem["loc"]
        deeper = (p for p in problems if len(p["loc"]) > len(place))
        return problem["type"] == "too_short" and any(
            p["loc"][: len(place)] == place for p in deeper
        )

    return [problem for problem in problems if not follows(problem)]


def _problem(path: Path, tree: yaml.Node, details: Mapping[str, Any], root: type[Section]) -> str:
    """Return one line: file, line, key, what was received, what is allowed."""
    # pydantic adds the member of a union, such as list[str], to the location
    location = tuple(part for part in details["loc"] if not str(part).endswith("]"))
    key = ".".join(str(part) for part in location) or root.__name__.lower()
    line = _line_of(tree, location)
    message = str(details["msg"]).removeprefix("Value error, ")
    if details["type"] == "extra_forbidden":
        message = _unknown(str(location[-1]), _allowed_keys(location[:-1], root))
    elif details["type"] == "missing":
        message = "required, but absent"
    elif isinstance(details.get("input"), (str, int, float, bool)):
        message = f"received {details['input']!r}; {message[0].lower()}{message[1:]}"
    return f"{path}:{line}: {key}: {message}"


def _line_of(node: yaml.Node, location: Sequence[str | int]) -> int:
    """Return the line (from 1) of a key, or of its deepest parent that is in the file."""
    line = int(node.start_mark.line) + 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            pairs = {key.value: (key, value) for key, value in node.value}
            if part not in pairs:
                return line
            key, node = pairs[part]
            line = int(key.start_mark.line) + 1
        elif (
            isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value)
        ):
            node = node.value[part]
            line = int(node.start_mark.line) + 1
        else:
            return line
    return line


def _unknown(key: str, allowed: Sequence[str]) -> str:
    near = closest(key, allowed)
    meant = f"; did you mean {near}?" if near else ""
    return f"unknown key; allowed here: {', '.join(allowed)}{meant}"


def _allowed_keys(location: Sequence[str | int], root: type[Section]) -> list[str]:
    """Return the keys that are allowed in the section at a location."""
    section: Any = root
    for part in location:
        if isinstance(part, int):
            continue
        field = section.model_fields.get(part)
        section = next(iter(_sections(field.annotation)), None) if field else None
        if section is None:
            return []
    return sorted(section.model_fields)


def _sections(annotation: Any) -> list[type[Section]]:
    """Return the ``Section`` classes in a type annotation."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [
        section
        for argument in getattr(annotation, "__args__", ())
        for section in _sections(argument)
    ]


def _by_line(problem: str) -> tuple[int, str]:
    match = re.search(r":(\d+): ", problem)
    return (int(match.group(1)) if match else 0, problem)
