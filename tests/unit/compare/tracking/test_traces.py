"""Every answer as a trace of its side's run, complete and readable."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import mlflow
import pytest
from report_records import row, side

from llmops.compare.tracking.traces import ScoredAnswer, log_traces
from llmops.records import Answer
from llmops.store import connection, traces


def rows_of(count: int) -> list[ScoredAnswer]:
    made = [row(i, "old", "new", (0.0, 0.25), ["exact"], expected="Yes.") for i in range(count)]
    return [(one.example, one.candidate, one.candidate_scores) for one in made]


def logged(rows: list[ScoredAnswer]) -> list[Any]:
    """The traces of a run that got these rows, in the order of the examples."""
    with mlflow.start_run() as run:
        log_traces(run.info.run_id, run.info.experiment_id, side("v3"), rows)
    found = connection.client().search_traces(
        locations=[run.info.experiment_id], run_id=run.info.run_id, max_results=500
    )
    return sorted(found, key=lambda trace: trace.info.tags["llmops.example"])


def test_question_answer_scores_and_expectation_are_there(store: str) -> None:
    (trace,) = logged(rows_of(1))
    (span,) = trace.data.spans
    assert span.inputs["messages"][0]["content"] == "Question 0: what does it return?"
    (choice,) = span.outputs["choices"]
    assert choice == {
        "message": {"role": "assistant", "content": "new"},
        "finish_reason": "length",
    }
    found = {one.name: one.value for one in trace.info.assessments}
    assert found == {"exact": 0.25, "expected_response": "Yes."}
    assert trace.info.state == "OK"
    assert trace.info.trace_metadata["mlflow.modelId"] == "m-1"
    assert trace.info.tags["mlflow.traceName"] == "docstring-bot/3"


def test_a_prompt_without_an_answer_is_an_error_with_its_reason(store: str) -> None:
    example, _, scores = rows_of(1)[0]
    broken = Answer("", 0, 0, "error", error="too long")
    (trace,) = logged([(example, broken, scores)])
    assert trace.info.state == "ERROR"
    assert trace.info.response_preview == "(no answer: too long)"


def test_more_than_one_write_and_one_page_are_all_counted(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traces, "BATCH", 4)
    monkeypatch.setattr(traces, "PAGE", 3)
    assert len({trace.info.tags["llmops.example"] for trace in logged(rows_of(10))}) == 10


def test_no_rows_are_no_traces(store: str) -> None:
    assert logged([]) == []


def test_the_table_shows_seconds_tokens_and_what_differs_between_prompts(store: str) -> None:
    start = "Name the intent of this customer's message: "
    rows = [
        (replace(example, messages=({"role": "user", "content": f"{start}{i} cards"},)), *rest)
        for i, (example, *rest) in enumerate(rows_of(4))
    ]
    timed = [(example, replace(answer, seconds=0.25), scores) for example, answer, scores in rows]
    found = logged(timed)
    assert [trace.info.request_preview for trace in found] == [f"… {i} cards" for i in range(4)]
    for trace in found:
        (span,) = trace.data.spans
        assert span.inputs["messages"][0]["content"].startswith(start)
        assert trace.info.execution_duration == 250
        assert span.end_time_ns - span.start_time_ns == 250_000_000
        assert trace.info.token_usage == {
            "input_tokens": 40,
            "output_tokens": 64,
            "total_tokens": 104,
        }


def test_an_answer_that_failed_has_no_tokens(store: str) -> None:
    example, _, scores = rows_of(1)[0]
    (trace,) = logged([(example, Answer("", 0, 0, "error", error="too long"), scores)])
    assert trace.info.token_usage is None
