"""Read a recipe or a policy file, and report all its problems at once, each with its line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from llmops.errors import ConfigError
from llmops.recipe import scorer_names
from llmops.recipe.problems import problems
from llmops.recipe.reading import read, refuse_other_kind, show
from llmops.recipe.schema import Policy, Recipe


def load_recipe(path: Path, overrides: Sequence[str] = (), *, code: bool = False) -> Recipe:
    """Read a recipe, apply overrides, and check the result.

    Args:
        path: A YAML file.
        overrides: ``KEY.KEY=VALUE`` texts; values are YAML. A later one wins.
        code: Whether it may name scorers that import code (``mlflow:``, ``evaluate:``).

    Returns:
        The resolved recipe, defaults included; paths relative to the recipe are made absolute.

    Raises:
        NotFoundError: The file does not exist.
        ConfigError: The recipe or an override is wrong, or the file is a policy; all problems, each
            with its line.

    Example:
        from pathlib import Path

        from llmops.recipe import load_recipe

        recipe = load_recipe(Path("mine/recipe.yaml"), ["train.epochs=2"])
        print(recipe.digest())
    """
    return _load(Recipe, path, overrides, code=code)


def load_policy(path: Path, overrides: Sequence[str] = (), *, code: bool = False) -> Policy:
    """Read a policy file, apply overrides, and check the result.

    Args:
        path: A YAML file.
        overrides: See ``load_recipe``.
        code: See ``load_recipe``.

    Returns:
        The resolved policy, defaults included; paths relative to the file are made absolute.

    Raises:
        NotFoundError: The file does not exist.
        ConfigError: The policy or an override is wrong, or the file is a recipe.

    Example:
        from pathlib import Path

        from llmops.recipe import load_policy

        policy = load_policy(Path("gate.yaml"))
        print(policy.model, policy.gate.require)
    """
    return _load(Policy, path, overrides, code=code)


Kind = TypeVar("Kind", Recipe, Policy)


def _load(schema: type[Kind], path: Path, overrides: Sequence[str], *, code: bool) -> Kind:
    kind = schema.__name__.lower()
    content, tree = read(path, kind)
    refuse_other_kind(path, content, kind)
    _anchor_paths(content, path.parent)
    for override in overrides:
        _apply(content, override)
    _anchor_paths(content, Path.cwd())  # those that an override set: the shell completed them
    try:
        return schema.model_validate(content, context={"code": code})
    except ValidationError as error:
        found = problems(path, tree, error, schema)
        raise ConfigError(found, next_command=show(path, kind)) from error


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
    if isinstance(content.get("suite"), str):
        content["suite"] = _anchored(content["suite"], folder)
    data = content.get("data")
    for file in (data, data.get("test")) if isinstance(data, dict) else ():
        if isinstance(file, dict) and isinstance(file.get("path"), str):
            file["path"] = _anchored(file["path"], folder)
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
