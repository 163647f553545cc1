"""The house's rules, read from the syntax trees: imports inside functions count like any other."""

from __future__ import annotations

import ast
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import llmops

ROOT = Path(llmops.__file__).parents[1]
PACKAGES = ("llmops", "mlflow_plugins")
LOOSE = {"__init__", "__main__", "errors", "pipeline", "progress"}
WIDEST = 18
LONGEST_FILE = 300
LONGEST_FUNCTION = 50
FLAVOR_INTERFACE = ("llmops.flavor", "_load_pyfunc")
"""MLflow looks a flavor's loader up by this name in its module, so the package must export it."""
DOCUMENTED = {"_asdict", "_exit"}
"""Of named tuples and of ``os``: public, whatever they look like."""

Graph = dict[str, set[str]]


def files() -> dict[str, Path]:
    """Every module by its dotted name."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


FILES = files()
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}


def imports(tree: ast.AST) -> Iterator[tuple[str, str | None]]:
    """Module and imported name of each import, but for those that only type checkers see."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                yield from imports(other)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "absolute imports only"
            yield from ((str(node.module), alias.name) for alias in node.names)
        else:
            yield from imports(node)


def graph() -> Graph:
    """Which module imports which; a name that is a module is that module."""
    found: Graph = {}
    for module, tree in TREES.items():
        targets = {
            f"{source}.{name}" if f"{source}.{name}" in TREES else source
            for source, name in imports(tree)
        }
        found[module] = (targets & set(TREES)) - {module}
    return found


def circles(found: Graph) -> list[list[str]]:
    """Groups of modules that can all reach each other: what is left once no leaf is."""
    left = {module: set(targets) for module, targets in found.items()}
    while leaves := {module for module, targets in left.items() if not targets}:
        left = {m: targets - leaves for m, targets in left.items() if m not in leaves}
    return [sorted(left)] if left else []


def layers() -> list[set[str]]:
    """The layers of pyproject.toml, the highest first; the names of one layer."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    (contract,) = (c for c in contracts if c["type"] == "layers")
    return [set(line.replace("|", ":").replace(" ", "").split(":")) for line in contract["layers"]]


def layer_of(module: str) -> int | None:
    for i, names in enumerate(layers()):
        if any(module == name or module.startswith(f"{name}.") for name in names):
            return i
    return None


def test_the_graph_is_that_of_the_code() -> None:
    # Read from the wrong place, every rule below would hold.
    found = graph()
    assert "llmops.flavor" in found["llmops.pipeline"]
    assert "llmops.train.callback" in found["llmops.train.sft"], "an import inside a function"
    assert "llmops.flavor" not in found["llmops"], "an import for type checkers"
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == [["a", "b", "c"]]


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circles(graph()) == []


def test_imports_go_down_the_eight_layers_only() -> None:
    assert len(layers()) == 8
    climbing = [
        f"{module} → {target}"
        for module, targets in graph().items()
        for target in targets
        if (here := layer_of(module)) is not None
        and (there := layer_of(target)) is not None
        and there < here
    ]
    assert climbing == []
    assert {m for m in FILES if layer_of(m) is None} == {"llmops"}


def test_no_stage_imports_another() -> None:
    stages = next(names for names in layers() if "llmops.train" in names)
    crossing = [
        f"{module} → {target}"
        for module, targets in graph().items()
        for target in targets
        for stage in stages
        if module.startswith(stage) and target.startswith(tuple(stages - {stage}))
    ]
    assert crossing == []


def test_few_modules_lie_loose() -> None:
    assert {path.stem for path in (ROOT / "llmops").glob("*.py")} == LOOSE


def folders() -> list[Path]:
    return sorted({path.parent for path in FILES.values()})


@pytest.mark.parametrize("folder", folders(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_is_not_a_heap(folder: Path) -> None:
    assert len(list(folder.glob("*.py"))) <= WIDEST
    names = [path.stem for path in folder.glob("*.py") if not path.stem.startswith("__")]
    names += [path.name for path in folder.iterdir() if any(path.glob("*.py"))]
    firsts = Counter(name.partition("_")[0] for name in names)
    assert [first for first, count in firsts.items() if count > 1] == [], "siblings of one prefix"


def test_no_file_and_no_function_is_long() -> None:
    long = [
        f"{name}: {length} lines"
        for name, path in FILES.items()
        if (length := len(path.read_text(encoding="utf-8").splitlines())) > LONGEST_FILE
    ]
    long += [
        f"{name}.{node.name}: {length} lines"
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.end_lineno is not None
        and (length := node.end_lineno - node.lineno + 1) > LONGEST_FUNCTION
    ]
    assert long == []


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def test_no_file_imports_another_files_private_name() -> None:
    found = [
        f"{module} imports {name} of {source}"
        for module, tree in TREES.items()
        for source, name in imports(tree)
        if source.split(".")[0] in PACKAGES
        and (private(name or "") or any(map(private, source.split("."))))
        and (module, name) != FLAVOR_INTERFACE
    ]
    assert found == []


def test_private_names_of_other_libraries_stay_in_one_file() -> None:
    # Ours are reached through self, cls or a module's own globals; whatever else is another's.
    found = [
        f"{module}:{node.lineno} {ast.unparse(node)}"
        for module, tree in TREES.items()
        if module != "llmops.models.compat"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and private(node.attr)
        and ast.unparse(node.value) not in ("self", "cls")
        and node.attr not in DOCUMENTED
    ]
    found += [
        f"{module} imports {name} of {source}"
        for module, tree in TREES.items()
        if module != "llmops.models.compat"
        for source, name in imports(tree)
        if source.split(".")[0] not in (*PACKAGES, "__future__")
        and (private(name or "") or any(map(private, source.split("."))))
    ]
    assert found == []


def test_every_module_with_public_functions_has_a_test_file_of_its_name() -> None:
    missing = []
    for name, path in FILES.items():
        functions = [
            node.name
            for node in TREES[name].body
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            and not node.name.startswith("_")
        ]
        room = path.relative_to(ROOT).parent.relative_to(name.split(".")[0])
        folder = (
            ROOT / "tests" / ("plugins" if name.startswith("mlflow_plugins") else "unit") / room
        )
        if functions and path.name != "__init__.py":
            file = folder / f"test_{path.stem}.py"
            missing += [] if file.is_file() else [f"{name} ({', '.join(functions)})"]
    assert missing == []
