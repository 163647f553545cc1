"""The page of the Python reference: what each package names in its ``__all__``.

Signatures and docstrings are read by griffe, without importing what they belong to.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import griffe

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "llmops": "What most programs need, loaded on first use.",
    "llmops.flavor": "Log, save and load models in MLflow's format; add base models.",
    "llmops.compare": "Compare versions on held-out prompts.",
    "llmops.gate": "Decide by a policy, write evidence, promote.",
    "llmops.serve": "Run deployments on this machine and ask them.",
    "llmops.pipeline": "Run the whole loop of a recipe.",
    "llmops.recipe": "Read and check recipes.",
    "llmops.data": "Collect, split and write examples.",
    "llmops.train": "Train an adapter.",
    "llmops.models": "Find models at rest: what a URI stands for, where a version comes from.",
    "llmops.engine": "Generate text and compute likelihoods with any engine.",
    "llmops.report": "Show a comparison as table, JSON, Markdown, SVG or HTML.",
    "llmops.stats": "Test paired differences; numpy and scipy alone.",
    "llmops.records": "Frozen records that the stages exchange.",
    "llmops.errors": "Every error a caller can meet.",
}
HEAD = """\
# Python

Everything that a package names in its `__all__`. Import from the packages listed here; files
behind them may change freely. What a user can put right is a `llmops.errors.LlmopsError` or a class
below it, mostly with the next step in its message. An argument of another type than its signature
names is a plain Python error.
"""
Object = griffe.Class | griffe.Function | griffe.Attribute


def page() -> str:
    """Return the whole page as Markdown, without the mark of generated pages."""
    contents = [f"- [`{name}`](#{_anchor(name)}): {text}" for name, text in PACKAGES.items()]
    sections = [_package(name, text) for name, text in PACKAGES.items()]
    return "\n".join([HEAD, *contents, "", *sections])


@cache
def public(package: str) -> dict[str, Object]:
    """Return the public names of a package and what they stand for.

    Raises:
        LookupError: The package has no ``__all__``, or names something that does not exist.
    """
    module = griffe.load(package, search_paths=[str(ROOT)], resolve_aliases=True)
    if module.exports is None:
        raise LookupError(f"{package}: has no __all__")
    names = sorted(map(str, module.exports))
    return {name: _resolved(module[name], name) for name in names if not name.startswith("_")}


def _resolved(found: Any, name: str) -> Object:
    """Return what a name stands for: not the file of the same name, but what it defines."""
    if found.is_module:
        imported = found.parent.imports.get(name) if found.parent else None
        found = found.modules_collection[imported] if imported else found[name]
    return found.final_target if found.is_alias else found


def _package(package: str, text: str) -> str:
    """Write one package; a name that another package explains is a link to it."""
    parts = [f"## `{package}`", "", text, ""]
    for name, item in public(package).items():
        home = _home(package, name, item)
        if home is not None:
            parts += [f"- `{name}`: see [`{home}.{name}`](#{_anchor(f'{home}.{name}')})", ""]
        else:
            parts += _item(package, name, item)
    return "\n".join(parts)


def _home(package: str, name: str, item: Object) -> str | None:
    """Return the listed package that explains a name in place of this one."""
    owner = ".".join(item.path.split(".")[:2])
    if owner == package or owner not in PACKAGES or package == "llmops.records":
        return None
    return owner if name in public(owner) else None


def _item(package: str, name: str, item: Object) -> Iterator[str]:
    yield from (f"### `{package}.{name}`", "")
    if isinstance(item, griffe.Function):
        yield from ("```python", _signature(item), "```", "")
    yield from _docstring(item)
    if isinstance(item, griffe.Class):
        for member in item.members.values():
            if isinstance(member, griffe.Function) and member.docstring and member.is_public:
                yield from ("```python", f"{name}.{_signature(member)}", "```", "")
                yield from _docstring(member)


def _signature(function: griffe.Function) -> str:
    """Return a signature, one parameter a line where it would be long."""
    line = function.signature().replace("(self, ", "(").replace("(self)", "()")
    if len(line) <= 90:
        return line
    parameters = [p for p in function.parameters if p.name != "self"]
    parts = [f"    {_parameter(p)}," for p in parameters]
    keywords = [i for i, p in enumerate(parameters) if p.kind == griffe.ParameterKind.keyword_only]
    if keywords:
        parts.insert(keywords[0], "    *,")
    returns = f" -> {function.returns}" if function.returns else ""
    return "\n".join([f"{function.name}(", *parts, f"){returns}"])


def _parameter(parameter: griffe.Parameter) -> str:
    stars = {
        griffe.ParameterKind.var_positional: "*",
        griffe.ParameterKind.var_keyword: "**",
    }.get(parameter.kind, "")
    annotation = f": {parameter.annotation}" if parameter.annotation else ""
    default = f" = {parameter.default}" if parameter.default and not stars else ""
    return f"{stars}{parameter.name}{annotation}{default}"


def _docstring(item: Object) -> Iterator[str]:
    """Write a docstring's sections.

    Raises:
        LookupError: It has none.
    """
    if item.docstring is None:
        raise LookupError(f"{item.path}: has no docstring")
    for section in item.docstring.parse("google", warnings=False):
        yield from _section(section)


def _section(section: Any) -> Iterator[str]:
    kind = section.kind.value
    if kind == "text":
        yield from (_plain(section.value), "")
    elif kind == "examples":
        code = "\n".join(text for _, text in section.value)
        yield from ("```python", code, "```", "")
    elif kind == "admonition":
        yield from _admonition(section)
    elif kind in ("returns", "yields"):
        text = " ".join(_line(part.description) for part in section.value)
        yield from (f"**{kind.capitalize()}** {text}", "")
    else:
        title = {"parameters": "Arguments", "other parameters": "Arguments"}.get(
            kind, kind.capitalize()
        )
        yield from (f"**{title}**", "")
        for entry in section.value:
            name = entry.name if hasattr(entry, "name") else str(entry.annotation)
            yield f"- `{name}`: {_line(entry.description)}"
        yield ""


def _admonition(section: Any) -> Iterator[str]:
    """Write the ``Example:`` of a docstring: an indented block of code."""
    yield from ("```python", section.value.description, "```", "")


def _plain(text: str) -> str:
    return text.replace("``", "`")


def _line(text: str) -> str:
    return " ".join(_plain(text).split())


def _anchor(heading: str) -> str:
    return heading.replace(".", "")
