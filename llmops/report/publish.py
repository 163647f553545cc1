"""The report of a comparison as artifacts of its MLflow run."""

from __future__ import annotations

import json

from llmops.records import Comparison, Decision
from llmops.report.ci.summary import summary
from llmops.report.html.page import html_report
from llmops.report.json import to_json
from llmops.report.plots.forest import forest_svg
from llmops.report.text import comparison_table
from llmops.store import connection
from llmops.store.tags import FOREST_FILE, REPORT_FILE, RESULT_FILE, SUMMARY_FILE, TABLE_FILE

SIDE_BY_SIDE = "rows.json"
"""Artifact with the answers of both sides to each prompt."""


def publish(run_id: str, comparison: Comparison, decision: Decision | None = None) -> None:
    """Write report and forest plot as artifacts of a run, and the summary of a decision.

    With a decision, also the table and the JSON that were printed: whoever asks the same question
    again is answered with them.

    Args:
        run_id: Id of the MLflow run.
        comparison: Result of the comparison.
        decision: Decision of the gate; ``None`` if the gate did not run.

    Raises:
        StoreError: MLflow cannot write them.

    Example:
        from llmops.report import publish

        publish(comparison.run_id, comparison, decision)
    """
    with connection.store_errors("writing the report"):
        client = connection.client()
        client.log_text(run_id, html_report(comparison, decision), REPORT_FILE)
        client.log_text(run_id, forest_svg(comparison, decision), FOREST_FILE)
        if decision is not None:
            client.log_text(run_id, comparison_table(comparison, decision), TABLE_FILE)
            client.log_text(run_id, json.dumps(to_json(comparison, decision)), RESULT_FILE)
            client.log_text(run_id, summary(comparison, decision, {}), SUMMARY_FILE)
