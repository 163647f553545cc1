"""Examples from Python's standard library: a function's signature, and its docstring's first line.

The source files of the running interpreter are parsed, never imported. They are on every machine
that runs this package, and hundreds of authors wrote them in one consistent style.
"""

from __future__ import annotations

import ast
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

INSTRUCTION = "Write a one-line docstring for this Python function."
LONGEST_DOCSTRING = 120
SHORTEST_DOCSTRING = 10

Function = ast.FunctionDef | ast.AsyncFunctionDef


def stdlib_docstrings() -> list[dict[str, str]]:
    """Return an example for each documented public top-level function of the standard library.

    Returns:
        Rows with ``id`` (``module.function``), ``prompt``, ``completion`` and ``group`` (module).
    """
    return [row for name, path in _modules() for row in functions_of(name, path)]


def _modules() -> Iterator[tuple[str, Path]]:
    root = Path(sysconfig.get_paths()["stdlib"])
    for name in sorted(sys.stdlib_module_names):
        for path in (root / f"{name}.py", root / name / "__init__.py"):
            if not name.startswith("_") and path.is_file():
                yield name, path


def functions_of(module: str, path: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of one source file; see ``stdlib_docstrings``.

    Args:
        module: Dotted name of the module.
        path: Python source; it is parsed, never run.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body:
        if not isinstance(node, Function) or node.name.startswith("_"):
            continue
        first_line = (ast.get_docstring(node) or "").partition("\n")[0].strip()
        if first_line.endswith(".") and SHORTEST_DOCSTRING <= len(first_line) <= LONGEST_DOCSTRING:
            yield {
                "id": f"{module}.{node.name}",
                "prompt": f"{INSTRUCTION}\n\n{_signature(node)}",
                "completion": first_line,
                "group": module,
            }


def _signature(node: Function) -> str:
    keyword = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{keyword} {node.name}({ast.unparse(node.args)}){returns}:"
