"""Traces as they lie in a store: whole, found by their ids, and written a second time without harm."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import pytest
from servers import machine, mlflow_server

from llmops.errors import StoreError
from llmops.store import connection, traces
from llmops.store.traces import TraceRecord


def record(**changes: Any) -> TraceRecord:
    made = TraceRecord(
        trace_id=traces.new_id(),
        name="bot@v7",
        began=time.time_ns(),
        seconds=0.25,
        failed=False,
        prompt="What is it?",
        answer="A test.",
        inputs={"messages": [{"role": "user", "content": "What is it?"}]},
        outputs={"choices": [{"message": {"role": "assistant", "content": "A test."}}]},
        metadata={"mlflow.modelId": "m-1"},
        tags={"llmops.version": "bot@v7", "llmops.receipt": "r" * 600},
        attributes={"mlflow.chat.tokenUsage": {"input_tokens": 3, "output_tokens": 2}},
    )
    return replace(made, **changes)


@pytest.fixture
def experiment(store: str) -> str:
    return traces.experiment("bot-serving")


def stored(experiment_id: str) -> dict[str, Any]:
    found = connection.client().search_traces(locations=[experiment_id], max_results=500)
    return {trace.info.trace_id: trace for trace in found}


@pytest.mark.parametrize("alone", [False, True])
def test_a_trace_is_read_back_whole(experiment: str, alone: bool) -> None:
    made = [record(), record(failed=True, answer="(no answer)")]
    traces.write(experiment, made, alone=alone)
    found = stored(experiment)
    assert set(found) == {one.trace_id for one in made}
    whole, broken = (found[one.trace_id] for one in made)
    assert (whole.info.state, broken.info.state) == ("OK", "ERROR")
    assert whole.info.trace_metadata["mlflow.modelId"] == "m-1"
    assert whole.info.tags["llmops.receipt"] == "r" * 600
    assert whole.info.tags["llmops.version"] == "bot@v7"
    assert whole.info.execution_duration == 250
    assert whole.info.request_preview == "What is it?"
    assert whole.info.token_usage["output_tokens"] == 2
    (span,) = whole.data.spans
    assert span.inputs == dict(made[0].inputs)
    assert span.outputs == dict(made[0].outputs)


@pytest.mark.parametrize("alone", [False, True])
def test_writing_again_changes_nothing(experiment: str, alone: bool) -> None:
    # A write whose answer got lost is repeated.
    made = [record() for _ in range(3)]
    traces.write(experiment, made[:2], alone=alone)
    traces.write(experiment, made)
    found = stored(experiment)
    assert set(found) == {one.trace_id for one in made}
    assert all(trace.info.state == "OK" for trace in found.values())


def test_a_transaction_that_fails_leaves_the_store_usable(
    experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [record(), record(metadata={"mlflow.modelId": {"no": "text"}})]
    with pytest.raises(StoreError, match=f"writing 2 traces to experiment {experiment}"):
        traces.write(experiment, made, alone=True)
    assert stored(experiment) == {}, "all or nothing"
    traces.write(experiment, made[:1], alone=True)
    assert set(stored(experiment)) == {made[0].trace_id}


def test_each_written_trace_is_counted(experiment: str) -> None:
    seen: list[None] = []
    traces.write(experiment, [record() for _ in range(3)], written=lambda: seen.append(None))
    assert len(seen) == 3


def test_a_trace_is_found_by_its_id(experiment: str) -> None:
    made = record()
    traces.write(experiment, [made])
    found = traces.find(made.trace_id)
    assert found is not None
    assert found.tags["llmops.receipt"] == "r" * 600
    assert traces.find(traces.new_id()) is None


def test_an_experiment_is_made_once_and_a_deleted_one_is_named(experiment: str) -> None:
    assert traces.experiment("bot-serving") == experiment
    connection.client().delete_experiment(experiment)
    with pytest.raises(StoreError, match="experiment bot-serving: it was deleted"):
        traces.experiment("bot-serving")


def test_the_traces_of_a_run_are_counted(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "PAGE", 2)
    with mlflow.start_run() as run, mlflow.start_run(nested=True) as other:
        pass
    run_id, place = run.info.run_id, run.info.experiment_id
    traces.write(place, [record(metadata={"mlflow.sourceRun": run_id}) for _ in range(5)])
    assert traces.count(run_id, place) == 5
    assert traces.count(other.info.run_id, place) == 0


def test_ids_are_those_of_mlflow() -> None:
    assert traces.new_id() != traces.new_id()
    assert len(traces.new_id()) == 35


def test_a_server_takes_the_same_traces(tmp_path: Path) -> None:
    with mlflow_server(tmp_path) as url, machine(tmp_path, url):
        experiment_id = traces.experiment("bot-serving")
        made = [record() for _ in range(5)]
        traces.write(experiment_id, made, alone=True)
        found = stored(experiment_id)
        assert set(found) == {one.trace_id for one in made}
        assert found[made[0].trace_id].data.spans[0].inputs == dict(made[0].inputs)
        assert found[made[0].trace_id].info.tags["llmops.receipt"] == "r" * 600
        assert traces.find(traces.new_id()) is None
    assert mlflow.get_tracking_uri() != url
