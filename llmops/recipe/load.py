"""Read a recipe file, and report all its problems at once, each with its line.

Read with PyYAML: ruamel.yaml stops at the first duplicate key, and accepts unknown tags as values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from llmops.errors import ConfigError
from llmops.recipe import catalog, scorer_names
from llmops.recipe.schema import Recipe, Section


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe, apply overrides, and check the result.

    Args:
        path: A YAML file.
        overrides: ``KEY.KEY=VALUE`` texts; values are YAML. A later one wins.

    Returns:
        The resolved recipe, defaults included; paths relative to the recipe are made absolute.

    Raises:
        NotFoundError: The file does not exist.
        ConfigError: The recipe or an override is wrong; all problems, each with its line.

    Example:
        from pathlib import Path

        from llmops.recipe import load_recipe

        recipe = load_recipe(Path("mine/recipe.yaml"), ["train.epochs=2"])
        print(recipe.digest())
    """
    content, tree = _read(path)
    for override in overrides:
        _apply(content, override)
    _anchor_paths(content, path.parent)
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        problems = {_problem(path, tree, details) for details in _causes(error)}
        raise ConfigError(sorted(problems, key=_by_line), next_command=_show(path)) from error


def _read(path: Path) -> tuple[dict[str, Any], yaml.Node]:
    """Return the content of a recipe file, and its nodes, which know their lines.

    Raises:
        NotFoundError: The file does not exist.
        ConfigError: It is too large, is not YAML, has aliases or duplicate keys, or is not a mapping.
    """
    text = catalog.read(path)
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
        raise ConfigError([f"{path}: a recipe is a mapping of stages, received {_kind(content)}"])
    if duplicates := _duplicate_keys(path, tree):
        raise ConfigError(duplicates, next_command=_show(path))
    return content, tree


def _show(path: Path) -> str:
    """Return the command that shows a recipe."""
    return f"llmops recipes show {path}"


def _apply(content: dict[str, Any], override: str) -> None:
    """Set one dotted key; the schema checks the result."""
    key, separator, value = override.partition("=")
    if not separator or not key:
        raise ConfigError(
            [f"override {override!r}: expected KEY=VALUE, such as train.epochs=2"],
        )
    try:
        parsed = yaml.safe_load(value)
    except (yaml.YAMLError, ValueError, AttributeError, RecursionError) as error:
        raise ConfigError([f"override {override!r}: the value is not valid YAML"]) from error
    if isinstance(parsed, str) and re.fullmatch(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+", parsed):
        parsed = float(parsed)  # YAML 1.1 reads 3e-4 as text
    *parents, last = key.split(".")
    node = content
    for parent in parents:
        child = node.setdefault(parent, {})
        if not isinstance(child, dict):
            raise ConfigError([f"override {override!r}: `{parent}` has no keys below it"])
        node = child
    node[last] = parsed


def _anchor_paths(content: dict[str, Any], folder: Path) -> None:
    data = content.get("data")
    if isinstance(data, dict) and isinstance(data.get("path"), str):
        data["path"] = _anchored(data["path"], folder)
    compare = content.get("compare")
    if isinstance(compare, dict) and isinstance(compare.get("scorers"), list):
        compare["scorers"] = [_anchored_scorer(name, folder) for name in compare["scorers"]]


def _anchored(path: str, folder: Path) -> str:
    try:
        return str((folder / Path(path).expanduser()).resolve())
    except (OSError, RuntimeError, ValueError) as error:  # a loop, "~" of an unknown user, a NUL
        raise ConfigError([f"{path!r:.200}: cannot be a path: {error}"]) from error


def _anchored_scorer(name: Any, folder: Path) -> Any:
    """Return a scorer whose file is found from anywhere; its label stays as it was."""
    if not isinstance(name, str):
        return name
    return scorer_names.with_file(name, lambda path: _anchored(path, folder))


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


def _problem(path: Path, tree: yaml.Node, details: Mapping[str, Any]) -> str:
    """Return one line: file, line, key, what was received, what is allowed."""
    # pydantic adds the member of a union, such as list[str], to the location
    location = tuple(part for part in details["loc"] if not str(part).endswith("]"))
    key = ".".join(str(part) for part in location) or "recipe"
    line = _line_of(tree, location)
    message = str(details["msg"]).removeprefix("Value error, ")
    if details["type"] == "extra_forbidden":
        allowed = ", ".join(_allowed_keys(location[:-1]))
        message = f"unknown key; allowed here: {allowed}"
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


def _allowed_keys(location: Sequence[str | int]) -> list[str]:
    """Return the keys that are allowed in the section at a location."""
    section: Any = Recipe
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


def _kind(value: object) -> str:
    return "nothing" if value is None else type(value).__name__
