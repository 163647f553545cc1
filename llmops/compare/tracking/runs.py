"""The MLflow runs of a comparison: a parent, a child for each side, metrics on each logged model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from llmops.compare.tracking.traces import log_traces
from llmops.errors import StoreError
from llmops.records import Answer, Comparison, Side, Suite
from llmops.report import SIDE_BY_SIDE, publish
from llmops.store import artifacts, connection, open_runs, tags
from llmops.texts.beginnings import distinct

ANSWERS = "answers.json"
"""File of the table of a side's answers and scores, in each child run."""
TITLE = 250
"""Maximum characters of a run's name."""
DATASET_NAME = 15
"""Characters of a dataset's name that MLflow's model tables show."""


@contextmanager
def opened_run(sides: Sequence[Side]) -> Iterator[Any]:
    """Open the parent run of a comparison, before anything is asked, and end it with the block.

    The block measures, logs and writes the reports, so every FINISHED run has its report.

    Args:
        sides: All sides, the baseline first.

    Yields:
        MLflow's ``RunInfo``.

    Raises:
        StoreError: The MLflow store refuses or does not answer.
    """
    baseline, *candidates = sides
    title = f"{', '.join(side.name for side in candidates)} vs {baseline.name}"
    with open_runs.open_run(title[:TITLE], {tags.KIND: "ab"}) as parent:
        yield parent


def log_comparisons(
    parent: Any,
    comparisons: Sequence[Comparison],
    suite: Suite,
    parameters: Mapping[str, object],
    *,
    traces: bool = True,
) -> tuple[Comparison, ...]:
    """Write comparisons with the same baseline to their open run, and to a child for each side.

    Args:
        parent: The run from ``opened_run``.
        comparisons: The comparison of each candidate.
        suite: The prompts that were asked.
        parameters: Parameters of the parent run.
        traces: Whether each answer is also logged as a trace, which MLflow shows side by side.

    Returns:
        The comparisons with their run ids.

    Raises:
        StoreError: The MLflow store refuses, or holds fewer rows than were written.
    """
    with connection.store_errors("logging the comparison"):
        children = _log(comparisons, suite, parameters, parent.run_id, traces=traces)
    return tuple(
        replace(
            comparison,
            run_id=parent.run_id,
            experiment_id=parent.experiment_id,
            child_run_ids=(children[0], child),
            traced=traces,
        )
        for comparison, child in zip(comparisons, children[1:], strict=True)
    )


def publish_reports(comparisons: Sequence[Comparison]) -> None:
    """Write the report of each comparison.

    The report of a single comparison goes to the parent run; several go to the candidates' runs.

    Raises:
        StoreError: The MLflow store refuses.
    """
    for comparison in comparisons:
        single = len(comparisons) == 1
        publish(comparison.run_id if single else comparison.child_run_ids[1], comparison)


def _log(
    comparisons: Sequence[Comparison],
    suite: Suite,
    parameters: Mapping[str, object],
    run_id: str,
    *,
    traces: bool,
) -> list[str]:
    """Write everything except the reports; return the sides' run ids, the baseline's first."""
    import mlflow

    first, dataset = comparisons[0], _dataset(suite)
    mlflow.log_input(dataset, context="evaluation")
    mlflow.log_params({**parameters, "suite_digest": suite.digest})
    children = [
        _log_side(comparison, "candidate", dataset, traces=traces) for comparison in comparisons
    ]
    baseline = _log_side(first, "baseline", dataset, traces=traces)
    mlflow.log_table(_side_by_side(comparisons), artifact_file=SIDE_BY_SIDE)
    _log_differences(comparisons, dataset, children)
    _verify_rows(run_id, SIDE_BY_SIDE, len(first.rows))
    return [baseline, *children]


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


def _log_side(comparison: Comparison, which: str, dataset: Any, *, traces: bool) -> str:
    """Write a side's run: mean scores with their dataset and model, and every answer."""
    import mlflow

    side: Side = getattr(comparison, which)
    means = {result.metric: round(getattr(result, which), 4) for result in comparison.metrics}
    if comparison.nll is not None:
        means["nll"] = round(comparison.nll[which == "candidate"], 4)
    with mlflow.start_run(run_name=side.name, nested=True) as child:
        mlflow.log_input(dataset, context="evaluation")
        mlflow.log_metrics(means, dataset=dataset, model_id=side.model_id)
        mlflow.log_params({"model": side.uri, "digest": side.digest})
        mlflow.log_table(_table(comparison, which), artifact_file=ANSWERS)
        run_id = str(child.info.run_id)
        if traces:
            rows = [
                (row.example, getattr(row, which), getattr(row, f"{which}_scores"))
                for row in comparison.rows
            ]
            log_traces(run_id, child.info.experiment_id, side, rows)
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


def _side_by_side(comparisons: Sequence[Comparison]) -> dict[str, list[Any]]:
    """Return a row for each prompt, sorted by the first candidate's change in the first metric."""
    first = comparisons[0]
    metric = first.metrics[0].metric
    change = [row.candidate_scores[metric] - row.baseline_scores[metric] for row in first.rows]
    order = sorted(range(len(change)), key=change.__getitem__)
    shown = [first.rows[i] for i in order]
    table: dict[str, list[Any]] = {
        "id": [row.example.id for row in shown],
        f"{metric} change": [round(change[i], 4) for i in order],
        "prompt": distinct([row.example.messages[-1]["content"] for row in shown]),
        "expected": [row.example.expected for row in shown],
        first.baseline.label: [row.baseline.text for row in shown],
    }
    for comparison in comparisons:
        label = comparison.candidate.label
        column = f"{label} (candidate)" if label in table else label
        table[column] = [comparison.rows[i].candidate.text for i in order]
    return table


def _log_differences(
    comparisons: Sequence[Comparison], dataset: Any, children: Sequence[str]
) -> None:
    """Write the differences to the parent run, or with several candidates to the run of each."""
    import mlflow

    if len(comparisons) == 1:
        mlflow.log_metrics(
            _differences(comparisons[0]),
            dataset=dataset,
            model_id=comparisons[0].candidate.model_id,
        )
        return
    for comparison, run_id in zip(comparisons, children, strict=True):
        mlflow.log_metrics(
            _differences(comparison),
            dataset=dataset,
            model_id=comparison.candidate.model_id,
            run_id=run_id,
        )


def _differences(comparison: Comparison) -> dict[str, float]:
    """Return difference, interval and p-value; MLflow groups charts by the part before the ``/``."""
    return {
        f"{statistic}/{result.metric}": round(float(value), 6)
        for result in comparison.metrics
        for statistic, value in (
            ("delta", result.test.difference),
            ("lo", result.test.low),
            ("hi", result.test.high),
            ("p", result.test.p_value),
        )
        if not math.isnan(value)
    }


def _verify_rows(run_id: str, table: str, expected: int) -> None:
    """Check the number of rows in a table: MLflow may lose rows without an error."""
    import mlflow

    with artifacts.quietly(f"reading {table} of run {run_id}"):
        stored = len(mlflow.load_table(table, run_ids=[run_id]))
    if stored != expected:
        raise StoreError(f"run {run_id}: {table} holds {stored} rows, {expected} were written")
