from __future__ import annotations

import ast
import importlib
import inspect
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

import llmops

ROOT = Path(llmops.__file__).parents[1]
HEAVY = ("torch", "transformers", "trl", "peft")
LIGHT = ("llmops", "mlflow_plugins", "mlflow_plugins.run_context", "llmops.cli.main")


@pytest.mark.parametrize("module", LIGHT)
def test_what_every_process_imports_is_light(module: str) -> None:
    # MLflow imports its plugins in each process that uses it: two seconds of torch would be
    # paid by every `import mlflow` of every user.
    if find_spec(module) is None:
        pytest.skip(f"{module} does not exist")
    script = f"import sys, json, {module}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert not loaded & set(HEAVY)


CALLED = ("compare", "gate")
"""Names that are those of a package too."""


@pytest.mark.parametrize(("name", "module"), sorted(llmops._HOME.items()))
def test_every_public_name_is_loaded_from_its_stage(name: str, module: str) -> None:
    if name not in CALLED:
        assert getattr(llmops, name) is getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("stage", CALLED)
def test_a_stage_is_called_like_its_function_and_stays_a_package(stage: str) -> None:
    package = importlib.import_module(f"llmops.{stage}")
    function = getattr(importlib.import_module(llmops._HOME[stage]), stage)
    assert getattr(llmops, stage) is package
    assert isinstance(package, ModuleType)
    assert inspect.signature(package) == inspect.signature(function)
    with pytest.raises(
        TypeError,
        match="missing 2 required positional arguments" if stage == "gate" else "missing 3",
    ):
        package()
    assert inspect.isfunction(getattr(package, stage)), "`from llmops.STAGE import STAGE` stays"


@pytest.mark.parametrize("stage", CALLED)
def test_a_stage_is_the_same_object_before_and_after_its_first_use(stage: str) -> None:
    script = f"import llmops; first = llmops.{stage}; import llmops.pipeline; assert first is llmops.{stage}"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_public_names_are_those_that_type_checkers_see() -> None:
    # The lazy table, __all__ and the TYPE_CHECKING imports say the same thing three times.
    tree = ast.parse(Path(llmops.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == llmops._HOME
    assert set(llmops.__all__) == {"__version__", *llmops._HOME}
    assert dir(llmops) == sorted(llmops.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        llmops.nope  # noqa: B018
