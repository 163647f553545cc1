"""The report of a comparison, as artifacts of its MLflow run."""

from __future__ import annotations

from llmops.records import Comparison, Decision
from llmops.report.html.page import html_report
from llmops.report.plots.forest import forest_svg
from llmops.store import connection
from llmops.store.tags import FOREST_FILE, REPORT_FILE

SIDE_BY_SIDE = "rows.json"
"""Artifact that holds both sides' answers to each prompt."""


def publish(run_id: str, comparison: Comparison, decision: Decision | None = None) -> None:
    """Write report and forest plot as artifacts of a run, replacing earlier ones.

    Args:
        run_id: MLflow run that receives the artifacts.
        comparison: A finished comparison.
        decision: The gate's decision on it, if there is one.

    Raises:
        StoreError: The MLflow store refuses or does not answer.
    """
    with connection.store_errors("writing the report"):
        client = connection.client()
        client.log_text(run_id, html_report(comparison, decision), REPORT_FILE)
        client.log_text(run_id, forest_svg(comparison, decision), FOREST_FILE)
