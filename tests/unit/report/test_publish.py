"""The report in its MLflow run."""

from __future__ import annotations

import mlflow
import pytest
from report_records import EVIDENCE, comparison, decision

from llmops.errors import StoreError
from llmops.report import publish


@pytest.fixture
def run_id(store: str) -> str:
    with mlflow.start_run() as run:
        return str(run.info.run_id)


def page(run_id: str) -> str:
    return str(mlflow.artifacts.load_text(f"runs:/{run_id}/report/report.html"))


def test_page_and_plot_are_written_and_written_over(run_id: str) -> None:
    publish(run_id, comparison())
    assert EVIDENCE not in page(run_id)
    publish(run_id, comparison(), decision())
    assert EVIDENCE in page(run_id)
    assert mlflow.artifacts.load_text(f"runs:/{run_id}/report/forest.svg").startswith("<svg")


def test_a_run_that_is_not_there_is_an_error(store: str) -> None:
    with pytest.raises(StoreError, match="writing the report"):
        publish("f" * 32, comparison())
