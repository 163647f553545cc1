"""The traces of a comparison: every answer in its side's run, so that MLflow shows sides row by row."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from llmops.errors import StoreError
from llmops.progress import progress
from llmops.records import Answer, Example, Side
from llmops.store import traces
from llmops.store.tags import EXAMPLE
from llmops.store.traces import TraceRecord
from llmops.texts.beginnings import distinct

TEXT_LIMIT = 100_000
"""Characters of an answer that are kept: servers refuse requests of several megabytes."""

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
        StoreError: The store refuses, or holds another number of traces than were written.
    """
    titles = distinct([example.messages[-1]["content"] for example, *_ in rows])
    titled = list(zip(titles, rows, strict=True))
    with progress(len(rows), f"trace {side.name}") as shown:
        for start in range(0, len(rows), traces.BATCH):
            made = [_trace(run_id, side, *row) for row in titled[start:][: traces.BATCH]]
            traces.write(experiment_id, made, written=shown.advance)
    stored = traces.count(run_id, experiment_id)
    if stored != len(rows):
        raise StoreError(f"run {run_id}: MLflow holds {stored} traces, {len(rows)} were written")


def _trace(run_id: str, side: Side, title: str, row: ScoredAnswer) -> TraceRecord:
    example, answer, scores = row
    trace_id = traces.new_id()
    owner = {"mlflow.modelId": side.model_id} if side.model_id else {}
    return TraceRecord(
        trace_id=trace_id,
        name=side.name,
        began=time.time_ns(),
        seconds=answer.seconds or 0,
        failed=answer.error is not None,
        prompt=title,
        answer=_text(answer),
        inputs={"messages": [dict(message) for message in example.messages]},
        outputs=_outputs(answer),
        tokens=(answer.prompt_tokens, answer.tokens) if answer.error is None else None,
        metadata={"mlflow.sourceRun": run_id, **owner},
        tags={EXAMPLE: example.id[:250]},
        assessments=_assessments(trace_id, example, scores),
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
