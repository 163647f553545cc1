"""The traces of a comparison: every answer in its side's run, so that MLflow shows sides row by row.

Traces are written to the store directly, in batches, and counted. ``mlflow.start_span`` takes six
times as long (MLflow 3.17), and its asynchronous export, ten at a time, loses about half of them on
SQLite without an error (``QueuePool limit``).
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

from llmops.errors import StoreError
from llmops.progress import progress
from llmops.records import Answer, Example, Side
from llmops.store.connection import client
from llmops.store.tags import EXAMPLE

PAGE = 500
"""Traces per page of a search."""
BATCH = 100
"""Traces per write of spans."""
TEXT_LIMIT = 100_000
"""Characters of an answer that are kept: servers refuse requests of several megabytes."""
PREVIEW = 1_000
"""Characters of prompt and answer in a table of traces."""

ScoredAnswer = tuple[Example, Answer, Mapping[str, float]]
"""An example, a side's answer to it, and the scores of the answer."""


def log_traces(run_id: str, experiment_id: str, side: Side, rows: Sequence[ScoredAnswer]) -> None:
    """Write a trace for each answer of a side, with its scores and the expected answer.

    Args:
        run_id: Run of the side.
        experiment_id: Experiment of the run.
        side: The side that answered.
        rows: Answers of the side.

    Raises:
        StoreError: The store holds another number of traces than were written.
    """
    from mlflow.tracing.client import TracingClient

    store = TracingClient()
    with progress(len(rows), f"trace {side.label}") as shown:
        for start in range(0, len(rows), BATCH):
            made = [_trace(run_id, experiment_id, side, row) for row in rows[start:][:BATCH]]
            # Traces before their spans: in the other order MLflow 3.17 merges each trace with the
            # one that its spans have created, which takes twice as long.
            for info, _ in made:
                store.start_trace(info)
                shown.advance()
            store.log_spans(experiment_id, [span for _, span in made])
    stored = _count(run_id, experiment_id)
    if stored != len(rows):
        raise StoreError(f"run {run_id}: MLflow holds {stored} traces, {len(rows)} were written")


def _trace(run_id: str, experiment_id: str, side: Side, row: ScoredAnswer) -> tuple[Any, Any]:
    """Build MLflow's record of a trace and its only span."""
    from mlflow.entities import TraceInfo, TraceLocation, TraceState

    example, answer, scores = row
    number, now = secrets.randbits(128), time.time_ns()
    trace_id = f"tr-{number:032x}"
    owner = {"mlflow.modelId": side.model_id} if side.model_id else {}
    info = TraceInfo(
        trace_id=trace_id,
        trace_location=TraceLocation.from_experiment_id(experiment_id),
        request_time=now // 1_000_000,
        state=TraceState.OK if answer.error is None else TraceState.ERROR,
        execution_duration=round(1000 * (answer.seconds or 0)),
        request_preview=example.messages[-1]["content"][:PREVIEW],
        response_preview=_text(answer)[:PREVIEW],
        trace_metadata={"mlflow.sourceRun": run_id, "mlflow.trace_schema.version": "3", **owner},
        tags={"mlflow.traceName": side.label, EXAMPLE: example.id[:250]},
        assessments=_assessments(trace_id, example, scores),
    )
    return info, _span(number, now, side, row)


def _span(number: int, now: int, side: Side, row: ScoredAnswer) -> Any:
    from mlflow.entities import Span
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags

    example, answer, _ = row
    attributes = {
        "mlflow.traceRequestId": f"tr-{number:032x}",
        "mlflow.spanType": "CHAT_MODEL",
        "mlflow.spanInputs": {"messages": [dict(message) for message in example.messages]},
        "mlflow.spanOutputs": _outputs(answer),
    }
    context = SpanContext(number, secrets.randbits(64), False, TraceFlags(TraceFlags.SAMPLED))
    return Span(
        ReadableSpan(
            name=side.label,
            context=context,
            resource=Resource.get_empty(),
            attributes={name: json.dumps(value) for name, value in attributes.items()},
            start_time=now,
            end_time=now + round(1e9 * (answer.seconds or 0)),
            status=Status(StatusCode.OK if answer.error is None else StatusCode.ERROR),
        )
    )


def _text(answer: Answer) -> str:
    text = answer.text if answer.error is None else f"(no answer: {answer.error})"
    return text[:TEXT_LIMIT]


def _outputs(answer: Answer) -> dict[str, Any]:
    """Return the answer in the shape that MLflow's tables show as plain text."""
    message = {"role": "assistant", "content": _text(answer)}
    return {"choices": [{"message": message, "finish_reason": answer.finish_reason}]}


def _assessments(trace_id: str, example: Example, scores: Mapping[str, float]) -> list[Any]:
    """Build the scores and the expected answer; writing them with the trace is five times as fast."""
    from mlflow.entities import AssessmentSource, Expectation, Feedback

    source = AssessmentSource(source_type="CODE", source_id="llmops")
    assessments: list[Any] = [
        Feedback(name=name, value=round(score, 4), source=source) for name, score in scores.items()
    ]
    if example.expected is not None:
        assessments.append(
            Expectation(name="expected_response", value=example.expected, source=source)
        )
    for assessment in assessments:
        assessment.trace_id = trace_id
    return assessments


def _count(run_id: str, experiment_id: str) -> int:
    """Return the number of traces of a run."""
    count, token = 0, None
    while True:
        page = client().search_traces(
            locations=[experiment_id],
            run_id=run_id,
            max_results=PAGE,
            page_token=token,
            include_spans=False,
        )
        count, token = count + len(page), page.token
        if not token:
            return count
