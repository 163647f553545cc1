"""Every `Example:` of a public name is code that runs, or at least fits what it calls."""

from __future__ import annotations

import ast
import dataclasses
import enum
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from generator.python import PACKAGES

import llmops

RUNNABLE = ("llmops.stats",)
"""Packages whose examples run as they stand."""
COMPLETE = tuple(name for name in PACKAGES if name not in ("llmops.errors",))
"""Packages in which every public function has an example."""
ONE_SENTENCE = ("llmops.pipeline",)
"""Modules whose records are explained in one sentence: each field is a stage's result."""

_EXAMPLE = re.compile(r"^Example:\n((?:[ ]{4}.*\n?|[ ]*\n)+)", re.MULTILINE)


class Public(NamedTuple):
    """A name of a package's ``__all__``, and what it stands for."""

    package: str
    name: str
    item: Any


def public(packages: tuple[str, ...] = tuple(PACKAGES)) -> list[Public]:
    found = []
    for package in packages:
        module = importlib.import_module(package)
        names = [name for name in getattr(module, "__all__", ()) if not name.startswith("_")]
        found += [Public(package, name, getattr(module, name)) for name in names]
    return found


def example_of(item: Any) -> str | None:
    """The code of an example; ``None`` for a name without one."""
    documented = inspect.isroutine(item) or inspect.isclass(item)
    match = _EXAMPLE.search(inspect.getdoc(item) or "") if documented else None
    return textwrap.dedent(match[1]).strip() + "\n" if match else None


def examples(packages: tuple[str, ...] = tuple(PACKAGES)) -> list[Any]:
    codes = [(f"{p.package}.{p.name}", example_of(p.item)) for p in public(packages)]
    return [pytest.param(name, code, id=name) for name, code in codes if code]


def needs_example(item: Any) -> bool:
    """Functions and classes that do something; a record is explained by its fields."""
    if inspect.isclass(item):
        record = dataclasses.is_dataclass(item) or hasattr(item, "_fields")
        schema = hasattr(item, "model_fields")
        described = inspect.isabstract(item) or getattr(item, "_is_protocol", False)
        return not (record or schema or described or issubclass(item, (enum.Enum, Exception)))
    return inspect.isroutine(item)


def faces() -> dict[str, set[str]]:
    """Packages that name what others may use, with these names and their own packages."""
    walked = pkgutil.walk_packages(llmops.__path__, "llmops.")
    names = {"llmops", *PACKAGES, *(module.name for module in walked if module.ispkg)}
    found: dict[str, set[str]] = {}
    for name in sorted(names):
        listed = getattr(importlib.import_module(name), "__all__", None)
        if listed is not None:
            found[name] = set(listed)
    for name in found:
        parent, _, last = name.rpartition(".")
        if parent in found:
            found[parent].add(last)
    return found


FACES = faces()


def face(name: str) -> Any:
    """Import a package that names what others may use."""
    assert name in FACES, f"{name}: not a public package"
    return importlib.import_module(name)


def imported(tree: ast.Module) -> Iterator[tuple[str, Any]]:
    """Names that an example imports from llmops, and what they stand for.

    Raises:
        AssertionError: A module or a name that no package offers.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] == "llmops":
                    module = face(alias.name)
                    yield (alias.asname, module) if alias.asname else ("llmops", llmops)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("llmops"):
            module = face(node.module or "")
            for alias in node.names:
                assert alias.name in FACES[module.__name__], f"{node.module} has no {alias.name}"
                within = f"{node.module}.{alias.name}"
                item = getattr(module, alias.name, None)
                yield alias.asname or alias.name, face(within) if item is None else item


def called(node: ast.expr, names: dict[str, Any]) -> Any:
    """What a call calls, if that is a name of llmops or a name within one; else ``None``."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        return getattr(called(node.value, names), node.attr, None)
    return None


def check(code: str) -> None:
    """Raise if an example imports or calls what does not exist.

    Raises:
        SyntaxError: It is not code.
        AssertionError: It imports from a file behind a package.
        TypeError: A call does not fit the signature.
    """
    tree = ast.parse(code)
    names = dict(imported(tree))
    for node in ast.walk(tree):
        target = called(node.func, names) if isinstance(node, ast.Call) else None
        if not isinstance(node, ast.Call) or target is None:
            continue
        open_ended = any(isinstance(a, ast.Starred) for a in node.args) or any(
            keyword.arg is None for keyword in node.keywords
        )
        given = [a for a in node.args if not isinstance(a, ast.Starred)]
        named = {k.arg: k.value for k in node.keywords if k.arg is not None}
        signature = inspect.signature(target)
        try:
            (signature.bind_partial if open_ended else signature.bind)(*given, **named)
        except TypeError as error:
            raise TypeError(f"line {node.lineno}: {ast.unparse(node)}: {error}") from None


@pytest.mark.parametrize(("name", "code"), examples())
def test_an_example_imports_and_calls_what_exists(name: str, code: str) -> None:
    check(code)


@pytest.mark.parametrize(("name", "code"), examples(RUNNABLE))
def test_an_example_of_the_statistics_runs(name: str, code: str) -> None:
    assert "assert " in code, "it cannot fail"
    exec(compile(code, name, "exec"), {})


@pytest.mark.parametrize("package", COMPLETE)
def test_every_public_function_has_an_example(package: str) -> None:
    assert public((package,)), f"{package} has no public names"
    missing = [
        p.name for p in public((package,)) if needs_example(p.item) and not example_of(p.item)
    ]
    assert not missing


@pytest.mark.parametrize(
    "item",
    [
        pytest.param(p.item, id=p.name)
        for p in public(COMPLETE)
        if dataclasses.is_dataclass(p.item) and p.item.__module__ not in ONE_SENTENCE
    ],
)
def test_every_field_of_a_record_is_documented(item: Any) -> None:
    text = inspect.getdoc(item) or ""
    fields = [field.name for field in dataclasses.fields(item)]
    assert [name for name in fields if not re.search(rf"^ +{name}: ", text, re.MULTILINE)] == []


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("from llmops.stats import holm\nholm(", SyntaxError),
        ("from llmops.stats.multiple import holm", AssertionError),
        ("from llmops.stats import power", AssertionError),
        ("import llmops.stats.multiple", AssertionError),
        ("from llmops.stats import holm\nholm([0.1], alpha=0.05)", TypeError),
        ("from llmops.stats import holm\nprint(holm([0.1], [0.2]))", TypeError),
        ("from llmops.compare import metrics\nmetrics.path()", TypeError),
        ("import llmops\nllmops.promote()", TypeError),
    ],
)
def test_a_wrong_example_would_be_found(code: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        check(code)


def test_a_right_example_passes() -> None:
    check("from llmops.stats import holm\nprint(holm(*arrays).max())")
    check("from llmops.compare import metrics\nmetrics.path('exact')")
    check("import llmops\nllmops.promote('models:/support/3')")
