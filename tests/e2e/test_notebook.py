"""The tutorial notebook, run from its first cell to its last as a reader would."""

from __future__ import annotations

import os
from pathlib import Path

import mlflow
import nbformat
import pytest
from nbclient import NotebookClient

import llmops

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

ROOT = Path(llmops.__file__).parents[1]
NOTEBOOK = ROOT / "docs" / "tutorials" / "from-a-notebook.ipynb"


@pytest.mark.filterwarnings("ignore")  # of Jupyter's packages about themselves
def test_the_notebook_runs_and_ends_with_a_champion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMOPS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    where = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(
        notebook, timeout=600, startup_timeout=180, kernel_name="python3", resources=where
    ).execute()
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert str(client.get_model_version_by_alias("orders", "champion").version) == "1"
    (first,) = (c for c in notebook.cells if c.source.endswith("\nfound"))
    html = first.outputs[-1]["data"]["text/html"]
    assert "orders/1 vs toy-base" in html
    assert (tmp_path / "report.html").is_file()
    last = [cell for cell in notebook.cells if cell.cell_type == "code"][-1]
    assert "models:/orders/2: has no evidence" in last.outputs[-1]["text"]
