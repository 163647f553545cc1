"""What is written, and what is left out, when redaction, records or the store fail."""

from __future__ import annotations

import io
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from exchanges import SECRET, exchange, line_of, traces_of, wait_until
from servers import free_port, machine, mlflow_server

from llmops.serve.traces import exporter as module
from llmops.serve.traces import lines as lines_module
from llmops.serve.traces.exporter import Exporter
from llmops.serve.traces.lines import Lines
from llmops.serve.traces.pipe import Pipe, Setup, line
from llmops.store import connection, traces
from llmops.store.traces import new_id


def exported(records: list[dict[str, Any]], **setup: Any) -> list[dict[str, Any]]:
    """Write records; return the reports."""
    output = io.BytesIO()
    chosen = {"deployment": "bot", "experiment": "bot-serving", "content": True, "redact": None}
    lines = Lines(io.BytesIO(b"".join(map(line, records))))
    Exporter(Setup(**{**chosen, **setup}), lines, output).run()
    return [json.loads(text) for text in output.getvalue().splitlines()]


def secret() -> dict[str, Any]:
    answer = exchange().answer.decode().replace("A test.", f"It is: {SECRET}.")
    messages = [{"role": "user", "content": f"Is it true that {SECRET}?"}]
    tools = [{"type": "function", "function": {"name": SECRET}}]
    return line_of(answer=answer, body={"messages": messages, "tools": tools, "user": SECRET})


def stored() -> str:
    return json.dumps([trace.to_dict() for trace in traces_of().values()], default=str)


def test_without_a_hook_everything_is_written(store: str, caplog: pytest.LogCaptureFixture) -> None:
    assert exported([secret()])[-1] == {"exported": 1, "dropped": 0, "unredacted": 0}
    assert SECRET in stored()
    assert "github" not in caplog.text, "MLflow would ask there for a model's price"


def test_a_hook_sees_prompt_and_answer_and_nothing_else_is_written(store: str) -> None:
    exported([secret()], redact="exchanges:redact")
    (trace,) = traces_of().values()
    assert trace.info.request_preview == "Is it true that ***?"
    assert trace.info.response_preview == "It is: ***."
    assert SECRET not in stored(), "tools and user are fields that the hook does not see"


@pytest.mark.parametrize(
    "hook", ["exchanges:broken_redact", "exchanges:odd_redact", "exchanges:SECRET", "no_module:f"]
)
def test_a_hook_that_fails_lets_no_content_through(store: str, hook: str) -> None:
    reports = exported([secret()], redact=hook)
    assert reports[-1] == {"exported": 1, "dropped": 0, "unredacted": 1}
    assert any("redact=" in report.get("note", "") for report in reports)
    assert SECRET not in stored() + json.dumps(reports)
    (trace,) = traces_of().values()
    assert trace.info.token_usage["total_tokens"] == 12


@pytest.mark.parametrize(
    "changes",
    [
        {"body": {"messages": ["odd", 7]}},
        {"body": {"messages": [{"role": "user", "content": None}], "n": 2}},
        {"body": {"prompt": [[1, 2, 3]]}, "path": "/v1/completions"},
        {"body": None, "answer": "not JSON", "events": ["[", "7", '{"choices": 3}']},
        {"answer": json.dumps({"choices": [{"index": "x", "delta": {"tool_calls": 7}}, 4]})},
        {"caller": None, "model_id": None, "first": None, "prompt_tokens": None},
    ],
)
def test_an_exchange_of_any_shape_becomes_a_trace(store: str, changes: dict[str, Any]) -> None:
    reports = exported([line_of(**changes)])
    assert reports[-1]["exported"] == 1
    assert len(traces_of()) == 1


def test_a_record_that_mlflow_refuses_does_not_cost_the_others(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", (0.01, 0.02))
    broken = line_of(trace_id="tr-" + "2" * 32, caller={"no": "name"})
    records = [line_of(trace_id=new_id()), broken, line_of(trace_id=new_id())]
    reports = exported(records)
    assert (reports[-1]["exported"], reports[-1]["dropped"]) == (2, 1)
    assert broken["trace_id"] not in traces_of()


def test_a_line_that_a_killed_gateway_left_unfinished_is_dropped(store: str) -> None:
    output = io.BytesIO()
    text = line(line_of()) + line(line_of())[:50]
    setup = Setup("bot", "bot-serving", content=True, redact=None)
    Exporter(setup, Lines(io.BytesIO(text)), output).run()
    report = json.loads(output.getvalue().splitlines()[-1])
    assert (report["exported"], report["dropped"]) == (1, 1)


def test_long_texts_are_cut(store: str) -> None:
    long = {"messages": [{"role": "user", "content": "x" * 300_000}]}
    answer = json.dumps({"choices": [{"message": {"content": "y" * 300_000}}]})
    exported([line_of(body=long, answer=answer)])
    (trace,) = traces_of().values()
    (span,) = trace.data.spans
    assert 99_000 < len(json.dumps(span.inputs)) < 101_000
    assert 99_000 < len(json.dumps(span.outputs)) < 101_000


def test_a_deleted_experiment_is_named_and_restored_in_time(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FLUSH_SECONDS", 0.5)
    connection.client().delete_experiment(traces.experiment("bot-serving"))
    reports = exported([line_of()])
    assert (reports[-1]["exported"], reports[-1]["dropped"]) == (0, 1)
    assert any("experiment bot-serving: it was deleted" in r.get("note", "") for r in reports)


def test_what_does_not_fit_into_memory_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "RECORDS", 5)
    lines = Lines(io.BytesIO(b"{}\n" * 12))
    wait_until(lambda: lines.ended is not None)
    assert (len(lines), lines.refused) == (5, 7)
    assert len(lines.batch()) == 5
    assert lines.batch() == []


def test_traces_wait_until_the_server_is_back(tmp_path: Path) -> None:
    port = free_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("servers.free_port", lambda: port)
        with mlflow_server(tmp_path) as url, machine(tmp_path, url):
            pipe = Pipe(Setup("bot", "bot-serving", content=True, redact=None), tmp_path)
            pipe.put(line_of(trace_id=new_id()), 100)
            wait_until(lambda: pipe.exported == 1)
        for _ in range(20):
            pipe.put(line_of(trace_id=new_id()), 100)
        time.sleep(3)
        assert (pipe.exported, pipe.dropped) == (1, 0)
        with mlflow_server(tmp_path) as url, machine(tmp_path, url):
            wait_until(lambda: pipe.exported == 21)
            pipe.close()
            assert len(traces_of()) == 21
            assert pipe.dropped == 0


def test_the_reports_come_while_the_input_is_open(store: str) -> None:
    reading, writing = os.pipe()
    output = io.BytesIO()
    setup = Setup("bot", "bot-serving", content=True, redact=None)
    with os.fdopen(reading, "rb") as stream:
        exporter = Exporter(setup, Lines(stream), output)
        thread = threading.Thread(target=exporter.run)
        thread.start()
        os.write(writing, line(line_of()))
        wait_until(lambda: b'"exported": 1' in output.getvalue())
        os.close(writing)
        thread.join(30)
        assert not thread.is_alive()
