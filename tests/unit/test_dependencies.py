"""What the code imports, it declares: else it works only where the development tools are."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OWN = ("llmops", "mlflow_plugins")
OF_ANOTHER_ENVIRONMENT = {"vllm"}
"""Imported only by the Python of ``.vllm``, which has packages of its own."""
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def names(requirements: list[str]) -> set[str]:
    return {normalized(re.split(r"[\s\[<>=!~;]", requirement)[0]) for requirement in requirements}


DECLARED = names(PROJECT["project"]["dependencies"])
OPTIONAL = names([r for rs in PROJECT["project"]["optional-dependencies"].values() for r in rs])


def imported(tree: ast.AST) -> Iterator[str]:
    """Top-level name of each import, also inside functions, but for those of type checkers."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from imported(ast.Module(node.orelse, []))
        elif isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module).partition(".")[0]
        else:
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
                yield from (str(c.value).partition(".")[0] for c in node.args[:1] if is_text(c))
            yield from imported(node)


def is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def third_party() -> dict[str, set[str]]:
    """Every name that comes from neither Python nor this project, with the files that import it."""
    found: dict[str, set[str]] = {}
    for package in OWN:
        for path in sorted((ROOT / package).rglob("*.py")):
            for name in imported(ast.parse(path.read_text(encoding="utf-8"))):
                if name not in sys.stdlib_module_names and name not in (*OWN, "__future__"):
                    found.setdefault(name, set()).add(str(path.relative_to(ROOT)))
    return found


IMPORTED = third_party()
DISTRIBUTIONS = packages_distributions()
PARTS = {"pydantic-core": "pydantic"}
"""Packages that another one pins to one version, and that belong to its documented interface."""


def distributions(name: str) -> set[str]:
    """Names of the packages that bring a top-level name."""
    found = {normalized(package) for package in DISTRIBUTIONS.get(name, [name])}
    return {PARTS.get(package, package) for package in found}


@pytest.mark.parametrize("name", sorted(set(IMPORTED) - OF_ANOTHER_ENVIRONMENT))
def test_an_imported_package_is_declared(name: str) -> None:
    assert distributions(name) & (DECLARED | OPTIONAL), (
        f"{sorted(IMPORTED[name])} import {name}: add one of {sorted(distributions(name))} to the"
        " dependencies in pyproject.toml"
    )


def test_the_walk_sees_imports_inside_functions() -> None:
    tree = ast.parse(
        "if TYPE_CHECKING:\n    import hidden\nelse:\n    import shown\n"
        "def f():\n    from inner.part import x\n    importlib.import_module('named.part')\n"
    )
    assert set(imported(tree)) == {"shown", "inner", "named"}
    assert {"torch", "openai", "httpx"} <= set(IMPORTED)
