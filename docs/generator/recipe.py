"""The pages of recipe and policy: every key of a schema, then what may not be combined."""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from llmops.recipe import compare, data, policy, schema, section

NO_DEFAULT = "required"
MODULES = (section, data, compare, policy, schema)
"""Modules of the schemas' classes."""
PLACES = {
    "_free_alias": "aliases",
    "_template": "data",
    "_tag": "slices",
    "require_scorers": "top level",
}
"""Where the refusals of a function belong that is no class of a schema."""

HEAD = """\
# Recipe

A recipe is one YAML file. Its top-level keys are the stages, and its components are names from
closed lists, so a recipe cannot execute code. Unknown keys are refused, and all problems are
reported together, each with its line.

- `llmops validate RECIPE` checks a recipe and prints it with all defaults and its digest.
- `KEY=VALUE` arguments override it: `llmops run quickstart train.epochs=2`. Keys are dotted,
  values are YAML.
- A path is relative to the folder of the recipe that names it; in an override, to the working folder.
"""

POLICY_HEAD = """\
# Policy

A policy file holds what judging a version needs, and nothing about its training: commit it as
`gate.yaml`. Its `compare` and `gate` sections are those of a [recipe](recipe.md). Unknown keys are
refused, and all problems are reported together, each with its line. How to use one:
[gate without a recipe](../how-to/gate-without-a-recipe.md).

- `llmops validate gate.yaml` checks it, prints it with all defaults and its digest, and refuses a
  suite that no candidate can pass.
- `llmops gate --policy gate.yaml` judges a version by it.
- `KEY=VALUE` arguments override it, but cannot loosen it: `llmops gate --policy gate.yaml
  gate.min_prompts=200`.
- `suite` is relative to the file's folder; in an override, to the working folder.
- Without `compare.scorers`, the scorers are those that `gate.require` names, if none needs an
  argument.
"""

RULES_HEAD = """\
## Refused combinations

What the schema refuses beyond types and ranges, in its own words (`…` stands for what was
received):
"""


def page(root: type[BaseModel] = schema.Recipe, head: str = HEAD) -> str:
    """Return every key with type, default and meaning, then the refused combinations.

    Args:
        root: The schema of the whole file.
        head: What stands before the keys.
    """
    tree = {**root.model_json_schema(), "title": root.__name__}
    notes = source_notes()
    places = dict(_places(tree, root.__name__, ""))
    sections = [_section(tree, notes, name, place) for name, place in places.items()]
    rules = [
        f"- {_place_of(places, owner)}: {message}"
        for owner, message in refusals()
        if owner in places or owner in PLACES
    ]
    return "\n".join([head, *sections, RULES_HEAD, *rules, ""])


def _places(tree: Mapping[str, Any], name: str, place: str) -> Iterator[tuple[str, str]]:
    """Classes of the schema and the dotted keys at which they stand, in the recipe's order."""
    yield name, place
    for key, node in _node(tree, name)["properties"].items():
        for reference in _references(node):
            inner = f"{key}[]" if node.get("type") == "array" else key
            yield from _places(tree, reference, f"{place}.{inner}".lstrip("."))


def _node(tree: Mapping[str, Any], name: str) -> Any:
    return tree if name == tree["title"] else tree["$defs"][name]


def _references(node: Mapping[str, Any]) -> list[str]:
    parts = [node, node.get("items", {}), *node.get("anyOf", [])]
    return [part["$ref"].rpartition("/")[2] for part in parts if "$ref" in part]


def _section(tree: Mapping[str, Any], notes: Mapping[str, str], name: str, place: str) -> str:
    node = _node(tree, name)
    required = node.get("required", [])
    rows = [
        f"| `{key}` | {_type(child)} | {_default(child, required=key in required)} "
        f"| {_meaning(notes, name, key, child)} |"
        for key, child in node["properties"].items()
    ]
    title = f"## `{place}`" if place else "## Top level"
    head = [title, "", notes[name], "", "| Key | Type | Default | Meaning |", "|---|---|---|---|"]
    return "\n".join([*head, *rows, ""])


def _meaning(notes: Mapping[str, str], name: str, key: str, node: Mapping[str, Any]) -> str:
    """Return a field's docstring, else that of the section it holds.

    Raises:
        LookupError: Neither has one.
    """
    field = f"{name}.{key}"
    candidates = (notes.get(field), *map(notes.get, _references(node)))
    for found in candidates:
        if found:
            return found
    raise LookupError(f"{field}: write a docstring below it in llmops/recipe")


def _type(node: Mapping[str, Any]) -> str:
    """Return a type as text."""
    if "anyOf" in node:
        parts = [_type(part) for part in node["anyOf"]]
        return (", or " if "," in parts[0] else " or ").join(parts)
    if "$ref" in node:
        return "section"
    if "const" in node or "enum" in node:
        values = node.get("enum", [node.get("const")])
        return " or ".join(f"`{value}`" for value in values)
    if node["type"] == "array":
        items = "sections" if "$ref" in node["items"] else _type(node["items"])
        least = f", at least {node['minItems']}" if "minItems" in node else ""
        return f"list of {items}{least}"
    if node["type"] == "string":
        form = f" of the form `{node['pattern']}`" if "pattern" in node else ""
        return ("path" if node.get("format") == "path" else "text") + form
    if node["type"] == "object":
        return "mapping of text to text"
    return node["type"] + _range(node)


def _range(node: Mapping[str, Any]) -> str:
    if "minimum" in node and "maximum" in node:
        return f", {node['minimum']} to {node['maximum']}"
    words = {
        "minimum": "at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
    }
    limits = [f", {word} {node[key]}" for key, word in words.items() if key in node]
    return "".join(limits)


def _default(node: Mapping[str, Any], *, required: bool) -> str:
    if required:
        return NO_DEFAULT
    default = node["default"]
    if isinstance(default, dict):
        return "its defaults"
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def source_notes() -> dict[str, str]:
    """Docstrings of the recipe's classes (``Train``) and of their fields (``Train.base``)."""
    notes = {}
    for node in _classes():
        notes[node.name] = markdown(_summary(node))
        for field, text in zip(node.body, node.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
                value = ast.literal_eval(text.value)
                notes[f"{node.name}.{ast.unparse(field.target)}"] = markdown(value)
    return notes


def refusals() -> list[tuple[str, str]]:
    """Messages of the validators, with the class or the function that raises them."""
    return [
        (owner.name, _message(node.exc.args[0]))
        for module in MODULES
        for owner in ast.parse(inspect.getsource(module)).body
        if isinstance(owner, (ast.ClassDef, ast.FunctionDef))
        for node in ast.walk(owner)
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and ast.unparse(node.exc.func) == "ValueError"
        and isinstance(node.exc.args[0], (ast.Constant, ast.JoinedStr))  # else passed on
    ]


def _classes() -> list[ast.ClassDef]:
    trees = (ast.parse(inspect.getsource(module)) for module in MODULES)
    return [node for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)]


def _summary(node: ast.ClassDef) -> str:
    """Return the first paragraph of a class's docstring; the example is for Python."""
    return (ast.get_docstring(node) or "").partition("\n\n")[0]


def _message(node: ast.expr) -> str:
    """Return the text of a message, with ``…`` for each value."""
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in parts)


def _place_of(places: Mapping[str, str], owner: str) -> str:
    if owner in PLACES:
        return PLACES[owner]
    return f"`{places[owner]}`" if places[owner] else "top level"


def markdown(text: str) -> str:
    """Return a docstring as one line of a Markdown table."""
    return " ".join(text.split()).replace("``", "`").replace("|", "\\|")
