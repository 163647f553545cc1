"""Every answer as a trace in its side's run, so that MLflow shows two sides row by row.

MLflow 3.15 writes traces in the background, ten at once, and on SQLite loses about half of them
without an error (``QueuePool limit``). Here they are written one after another, and counted.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from llmops.errors import StoreError
from llmops.progress import progress, say
from llmops.records import Answer, Example, Side
from llmops.store import client

ASYNC = "MLFLOW_ENABLE_ASYNC_TRACE_LOGGING"
PAGE = 500
TEXT_LIMIT = 100_000
"""Characters of an answer: the store of a server refuses requests of some megabytes."""

Told = tuple[Example, Answer, Mapping[str, float]]
"""An example, one side's answer to it, and its scores."""


def log_traces(run_id: str, experiment_id: str, side: Side, rows: Sequence[Told]) -> int:
    """Writes a trace for each answer of a side, with its scores and the expected answer.

    Args:
        run_id: The side's run.
        experiment_id: Of that run.
        side: Whose answers they are.
        rows: What it answered.

    Returns:
        How many traces there are; 0 if tracing is switched off.

    Raises:
        StoreError: MLflow holds another number than was written.
    """
    with _in_turn(), progress(len(rows), f"trace {side.label}") as shown:
        for row in rows:
            if not _write(run_id, experiment_id, side, row):
                say("compare: MLflow's tracing is switched off: no traces are written")
                return 0
            shown.advance()
    found = _count(run_id, experiment_id)
    if found != len(rows):
        raise StoreError(f"run {run_id}: MLflow holds {found} traces, {len(rows)} were written")
    return found


def _write(run_id: str, experiment_id: str, side: Side, row: Told) -> bool:
    import mlflow
    from mlflow.entities.span import NO_OP_SPAN_TRACE_ID
    from mlflow.tracing.trace_manager import InMemoryTraceManager

    example, answer, scores = row
    span = mlflow.start_span_no_context(
        side.label,
        span_type="CHAT_MODEL",
        inputs={"messages": [dict(message) for message in example.messages]},
        metadata={
            "mlflow.sourceRun": run_id,
            **({"mlflow.modelId": side.model_id} if side.model_id else {}),
        },
        tags={"llmops.example": example.id[:250]},
        experiment_id=experiment_id,
    )
    if span.trace_id == NO_OP_SPAN_TRACE_ID:
        return False
    with InMemoryTraceManager.get_instance().get_trace(span.trace_id) as trace:
        trace.info.assessments.extend(_assessments(span.trace_id, example, scores))
    span.set_outputs(_outputs(answer))
    span.end()
    return True


def _outputs(answer: Answer) -> dict[str, Any]:
    """In the shape that MLflow's tables show as plain text."""
    text = answer.text if answer.error is None else f"(no answer: {answer.error})"
    return {
        "choices": [
            {
                "message": {"role": "assistant", "content": text[:TEXT_LIMIT]},
                "finish_reason": answer.finish_reason,
            }
        ]
    }


def _assessments(trace_id: str, example: Example, scores: Mapping[str, float]) -> list[Any]:
    """In one write with the trace: one by one they would take five times as long."""
    from mlflow.entities import AssessmentSource, Expectation, Feedback

    source = AssessmentSource(source_type="CODE", source_id="llmops")
    found: list[Any] = [
        Feedback(name=name, value=round(score, 4), source=source) for name, score in scores.items()
    ]
    if example.expected is not None:
        found.append(Expectation(name="expected_response", value=example.expected, source=source))
    for assessment in found:
        assessment.trace_id = trace_id
    return found


@contextmanager
def _in_turn() -> Iterator[None]:
    """Traces are written where they end, by nobody else."""
    import mlflow

    chosen = os.environ.get(ASYNC)
    mlflow.flush_trace_async_logging()
    os.environ[ASYNC] = "false"
    mlflow.tracing.reset()  # the exporter read the variable when it was made
    try:
        yield
    finally:
        os.environ.pop(ASYNC)
        if chosen is not None:
            os.environ[ASYNC] = chosen
        mlflow.tracing.reset()


def _count(run_id: str, experiment_id: str) -> int:
    found, token = 0, None
    while True:
        page = client().search_traces(
            locations=[experiment_id],
            run_id=run_id,
            max_results=PAGE,
            page_token=token,
            include_spans=False,
        )
        found, token = found + len(page), page.token
        if not token:
            return found
