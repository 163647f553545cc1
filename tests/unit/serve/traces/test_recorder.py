"""From an exchange of the gateway to a trace in MLflow, through the real process that writes it."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from exchanges import TRACEPARENT, config, exchange, served, traces_of, wait_until

from llmops.serve.gateway.hooks import Recorder as Protocol
from llmops.serve.receipts import parse
from llmops.serve.traces import recorder as module
from llmops.serve.traces.exporter import Exporter
from llmops.serve.traces.lines import Lines
from llmops.serve.traces.pipe import Setup, line
from llmops.serve.traces.recorder import Recorder


class Collected:
    """In place of the other process: keeps the lines, and writes them in this one."""

    dropped = exported = unredacted = 0

    def __init__(self, setup: Setup, folder: Path) -> None:
        self.setup, self.lines = setup, list[bytes]()

    def put(self, record: Mapping[str, Any], size: int) -> None:
        self.lines.append(line(record))

    def close(self) -> None:
        text = io.BytesIO(b"".join(self.lines))
        Exporter(self.setup, Lines(text), io.BytesIO()).run()


@pytest.fixture
def here(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is recorded is written in this process: another one takes seconds to start."""
    monkeypatch.setattr(module, "Pipe", Collected)


def test_an_answer_becomes_a_trace_of_its_version(store: str, tmp_path: Path) -> None:
    recorder: Protocol = Recorder(config(), tmp_path)
    assert isinstance(recorder, Recorder)
    made = exchange()
    record = recorder.begin(made)
    record.end(made)
    wait_until(lambda: recorder.exported == 1)
    recorder.close()
    trace_id = record.headers["x-mlflow-trace-id"]
    (found,) = traces_of().values()
    assert found.info.trace_id == trace_id
    assert found.info.trace_metadata["mlflow.modelId"] == "m-1", "so the version's page lists it"
    assert found.info.trace_metadata["mlflow.trace.user"] == "ci"
    assert found.info.trace_metadata["llmops.ttft_ms"] == "125"
    assert found.info.token_usage == {"input_tokens": 9, "output_tokens": 3, "total_tokens": 12}
    tags = found.info.tags
    assert (tags["llmops.version"], tags["llmops.deployment"]) == ("bot@v7", "bot")
    assert tags["llmops.receipt"] == record.headers["x-llmops-receipt"]
    assert found.info.request_preview == "What is it?"
    assert found.info.response_preview == "A test."
    (span,) = found.data.spans
    assert span.inputs["messages"] == made.body["messages"]
    assert span.inputs["temperature"] == 0.5
    assert span.outputs["choices"][0]["message"]["content"] == "A test."
    assert (recorder.exported, recorder.dropped) == (1, 0)


def test_a_stream_is_put_together(here: None, tmp_path: Path) -> None:
    events = [
        json.dumps({"choices": [{"index": 0, "delta": {"content": piece}}]}).encode()
        for piece in ("A ", "te", "st.")
    ]
    recorder = Recorder(config(), tmp_path)
    made = exchange(answer=b"", stream=True, events=events)
    record = recorder.begin(made)
    assert record.content, "the gateway keeps events only for this"
    record.end(made)
    recorder.close()
    (found,) = traces_of().values()
    assert found.info.response_preview == "A test."


def test_the_receipt_names_the_bytes_and_the_trace(here: None, tmp_path: Path) -> None:
    recorder = Recorder(config(), tmp_path)
    headers = recorder.begin(exchange()).headers
    receipt = parse(headers["x-llmops-receipt"])
    assert receipt.trace == headers["x-mlflow-trace-id"]
    assert (receipt.adapter, receipt.base, receipt.decision) == ("a" * 64, "b" * 64, "d" * 64)
    unproven = recorder.begin(exchange(served=served(proof=None))).headers
    assert "decision=unproven" in unproven["x-llmops-receipt"]
    recorder.close()
    assert traces_of() == {}, "nothing was answered"


@pytest.mark.parametrize("changes", [{"traces": False}, {"trace_sample": 0.0}])
def test_without_traces_answers_still_have_receipts(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    recorder = Recorder(config(**changes), tmp_path)
    record = recorder.begin(exchange())
    assert set(record.headers) == {"x-llmops-receipt"}
    assert parse(record.headers["x-llmops-receipt"]).trace is None
    assert not record.content
    record.end(exchange())
    recorder.close()
    assert not (tmp_path / "traces.log").exists(), "no process was started"


def test_a_share_of_the_answers_is_recorded(here: None, tmp_path: Path) -> None:
    recorder = Recorder(config(trace_sample=0.3), tmp_path)
    kept = sum("x-mlflow-trace-id" in recorder.begin(exchange()).headers for _ in range(2000))
    recorder.close()
    assert 450 < kept < 750


def test_without_content_the_numbers_stay(here: None, tmp_path: Path) -> None:
    recorder = Recorder(config(trace_content=False), tmp_path)
    made = exchange()
    record = recorder.begin(made)
    assert not record.content
    record.end(made)
    recorder.close()
    (found,) = traces_of().values()
    text = json.dumps([found.to_dict()], default=str)
    assert "What is it?" not in text
    assert "A test." not in text
    assert found.info.token_usage["total_tokens"] == 12
    assert found.data.spans[0].inputs["temperature"] == 0.5
    assert found.data.spans[0].outputs["choices"][0]["finish_reason"] == "stop"


def test_an_answer_without_end_is_an_error_with_its_kind(here: None, tmp_path: Path) -> None:
    recorder = Recorder(config(), tmp_path)
    made = exchange(answer=b"", status=502, error="stream_stalled", completion_tokens=None)
    recorder.begin(made).end(made)
    recorder.close()
    (found,) = traces_of().values()
    assert found.info.state == "ERROR"
    assert found.info.response_preview == "(no answer: stream_stalled)"


def test_an_answer_of_megabytes_is_left_out(
    here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWER_BYTES", 1000)
    recorder = Recorder(config(), tmp_path)
    made = exchange(answer=b'{"choices": [{"message": {"content": "' + b"x" * 2000 + b'"}}]}')
    recorder.begin(made).end(made)
    recorder.close()
    (found,) = traces_of().values()
    assert found.data.spans[0].outputs["cut"] == "too long to be recorded"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (TRACEPARENT, True),
        (None, False),
        ("", False),
        ("00-" + "0" * 32 + "-b7ad6b7169203331-01", False),
        ("00-0af7651916cd43dd8448eb211c80319c-" + "0" * 16 + "-01", False),
        (TRACEPARENT.upper(), False),
        (TRACEPARENT + "\n", False),
        ("01" + TRACEPARENT[2:], False),
    ],
)
def test_only_a_valid_trace_of_the_caller_is_kept(given: str | None, kept: bool) -> None:
    assert bool(given and module.TRACEPARENT.fullmatch(given)) is kept


FAILING = """
def redact(messages, answer):
    raise ValueError(answer)
"""


def test_a_redaction_that_fails_is_counted_and_lets_no_content_through(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "failing_hook.py").write_text(FAILING)
    known = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(tmp_path), known])))
    recorder = Recorder(config(redact="failing_hook:redact"), tmp_path)
    made = exchange()
    recorder.begin(made).end(made)
    wait_until(lambda: recorder.exported == 1)
    assert recorder.unredacted == 1
    recorder.close()
    (found,) = traces_of().values()
    everything = f"{found.info.to_dict()}{[span.to_dict() for span in found.data.spans]}"
    assert "What is it?" not in everything
    assert "A test." not in everything
    assert "A test." not in (tmp_path / "traces.log").read_text()
