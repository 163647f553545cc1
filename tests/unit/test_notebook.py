"""The tutorial notebook as it lies in the repository: complete, from a real run, of no machine."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

import llmops

NOTEBOOK = Path(llmops.__file__).parents[1] / "docs" / "tutorials" / "from-a-notebook.ipynb"


@pytest.fixture(scope="module")
def cells() -> list[dict[str, Any]]:
    content = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return [cell for cell in content["cells"] if cell["cell_type"] == "code"]


def test_every_cell_was_run_in_order_and_none_failed(cells: list[dict[str, Any]]) -> None:
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    kinds = {output["output_type"] for cell in cells for output in cell["outputs"]}
    assert kinds == {"stream", "execute_result"}


def test_no_place_of_a_machine_and_no_progress_bar_is_in_it(cells: list[dict[str, Any]]) -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    for place in ("/tmp", "/root", "/home/", "/Users/", "C:\\\\", "site-packages", "Downloading"):
        assert place not in text


def test_it_goes_from_a_model_to_a_champion(cells: list[dict[str, Any]]) -> None:
    calls = [
        ast.unparse(node.func)
        for cell in cells
        for node in ast.walk(ast.parse("".join(cell["source"])))
        if isinstance(node, ast.Call)
    ]
    steps = ["llmops.log_model", "llmops.compare", "llmops.gate", "llmops.promote"]
    assert [calls.index(step) for step in steps] == sorted(calls.index(step) for step in steps)
    shown = [
        output["data"]
        for cell in cells
        for output in cell["outputs"]
        if output["output_type"] == "execute_result"
    ]
    assert any("llmops" in "".join(data.get("text/html", "")) for data in shown), "the first screen"
