"""A comparison in MLflow: a parent run, a child for each side, metrics on each logged model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from llmops import registry, store
from llmops.errors import StoreError
from llmops.records import Answer, Comparison, ModelFiles, Suite

ANSWERS = "answers.json"
"""Answers and scores of one side, the same table in each child run."""
SIDE_BY_SIDE = "rows.json"
"""Both sides' answers to each prompt, in the parent run."""
DATASET_NAME = 15
"""Longer dataset names are cut in MLflow's model tables."""


def log_comparison(comparison: Comparison, suite: Suite) -> Comparison:
    """Writes the runs of a comparison.

    Returns:
        The comparison with its run ids.

    Raises:
        StoreError: MLflow refused, or holds fewer rows than were written.
    """
    import mlflow

    title = f"{comparison.candidate.label} vs {comparison.baseline.label}"
    with store.store_errors("logging the comparison"):
        dataset = _dataset(suite)
        with mlflow.start_run(run_name=title, tags={registry.KIND: "ab"}) as parent:
            mlflow.log_input(dataset, context="evaluation")
            children = [
                _log_side(comparison, which, dataset) for which in ("candidate", "baseline")
            ]
            _log_differences(comparison, dataset)
            mlflow.log_table(_side_by_side(comparison), artifact_file=SIDE_BY_SIDE)
        _verify_rows(parent.info.run_id, SIDE_BY_SIDE, len(comparison.rows))
    return replace(
        comparison,
        run_id=parent.info.run_id,
        experiment_id=parent.info.experiment_id,
        child_run_ids=(children[1], children[0]),
    )


def _dataset(suite: Suite) -> Any:
    import mlflow
    import pandas as pd

    frame = pd.DataFrame(
        {
            "id": [example.id for example in suite.examples],
            "prompt": [example.messages[-1]["content"] for example in suite.examples],
            "expected": [example.expected for example in suite.examples],
        }
    )
    source = suite.path.resolve().as_uri() if suite.path else None
    return mlflow.data.from_pandas(
        frame, source=source, name=suite.name[:DATASET_NAME], digest=suite.digest[:32]
    )


def _log_side(comparison: Comparison, which: str, dataset: Any) -> str:
    """One child run: mean scores with their dataset and model, and every answer."""
    import mlflow

    side: ModelFiles = getattr(comparison, which)
    means = {result.metric: round(getattr(result, which), 4) for result in comparison.metrics}
    means["nll"] = round(comparison.nll[which == "candidate"], 4)
    with mlflow.start_run(run_name=side.label, nested=True) as child:
        mlflow.log_input(dataset, context="evaluation")
        mlflow.log_metrics(means, dataset=dataset, model_id=side.model_id)
        mlflow.log_params({"model": side.uri, "digest": side.digest})
        mlflow.log_table(_table(comparison, which), artifact_file=ANSWERS)
        run_id = str(child.info.run_id)
    _verify_rows(run_id, ANSWERS, len(comparison.rows))
    return run_id


def _table(comparison: Comparison, which: str) -> dict[str, list[Any]]:
    scores = [getattr(row, f"{which}_scores") for row in comparison.rows]
    texts: list[Answer] = [getattr(row, which) for row in comparison.rows]
    return {
        "id": [row.example.id for row in comparison.rows],
        "prompt": [row.example.messages[-1]["content"] for row in comparison.rows],
        "expected": [row.example.expected for row in comparison.rows],
        "answer": [answer.text for answer in texts],
        **{
            result.metric: [round(s[result.metric], 4) for s in scores]
            for result in comparison.metrics
        },
    }


def _side_by_side(comparison: Comparison) -> dict[str, list[Any]]:
    """One row a prompt, the largest loss of the first metric first."""
    metric = comparison.metrics[0].metric
    changed = {
        row.example.id: row.candidate_scores[metric] - row.baseline_scores[metric]
        for row in comparison.rows
    }
    rows = sorted(comparison.rows, key=lambda row: changed[row.example.id])
    before, after = comparison.baseline.label, comparison.candidate.label
    return {
        "id": [row.example.id for row in rows],
        f"{metric} change": [round(changed[row.example.id], 4) for row in rows],
        "prompt": [row.example.messages[-1]["content"] for row in rows],
        "expected": [row.example.expected for row in rows],
        before: [row.baseline.text for row in rows],
        after if after != before else f"{after} (candidate)": [row.candidate.text for row in rows],
    }


def _log_differences(comparison: Comparison, dataset: Any) -> None:
    """Difference, interval and p-value, statistic first: MLflow groups charts by what precedes ``/``."""
    import mlflow

    metrics = {
        f"{statistic}/{result.metric}": round(float(value), 6)
        for result in comparison.metrics
        for statistic, value in (
            ("delta", result.test.difference),
            ("lo", result.test.low),
            ("hi", result.test.high),
            ("p", result.test.p_value),
        )
    }
    mlflow.log_metrics(metrics, dataset=dataset, model_id=comparison.candidate.model_id)


def _verify_rows(run_id: str, table: str, expected: int) -> None:
    """MLflow has lost rows silently before: what was written is counted."""
    import mlflow

    found = len(mlflow.load_table(table, run_ids=[run_id]))
    if found != expected:
        raise StoreError(f"run {run_id}: {table} holds {found} rows, {expected} were written")
