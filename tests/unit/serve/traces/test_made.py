"""A trace has what MLflow's pages and searches need, and nothing that an exchange did not have."""

from __future__ import annotations

from exchanges import TRACEPARENT, line_of

from llmops.serve.traces import content, made
from llmops.serve.traces.content import Choice


def test_a_trace_has_version_deployment_receipt_and_counts() -> None:
    line = line_of(traceparent=TRACEPARENT)
    found = made.trace(line, "bot", content.read(line))
    assert found.trace_id == line["trace_id"]
    assert found.name == "bot@v7"
    assert found.began == 1_700_000_000_500_000_000
    assert dict(found.tags) == {
        "llmops.version": "bot@v7",
        "llmops.deployment": "bot",
        "llmops.receipt": 'deployment="bot"',
    }
    assert dict(found.metadata) == {
        "mlflow.modelId": "m-1",
        "mlflow.trace.user": "ci",
        "llmops.ttft_ms": "125",
        "llmops.traceparent": TRACEPARENT,
    }
    assert found.tokens == (line["prompt_tokens"], line["completion_tokens"])
    assert found.attributes["llmops.ttft_ms"] == 125
    assert not found.failed


def test_what_is_unknown_is_absent() -> None:
    line = line_of(caller=None, model_id=None, first=None, completion_tokens=None)
    found = made.trace(line, "bot", content.read(line))
    assert dict(found.metadata) == {}
    assert found.usage == {}
    assert "llmops.ttft_ms" not in found.attributes


def test_a_failed_answer_keeps_what_came_of_it() -> None:
    line = line_of(error="stream_cut")
    found = made.trace(line, "bot", content.read(line))
    assert found.failed
    assert found.answer == "A test."
    assert found.outputs["error"] == "stream_cut"
    nothing = made.trace(line_of(error="failed", answer=""), "bot", made.without_content([]))
    assert nothing.answer == "(no answer: failed)"


def test_without_content_only_reasons_stay() -> None:
    kept = made.without_content([Choice({"role": "assistant", "content": "secret"}, "length")])
    assert kept.choices == [Choice({"role": "assistant"}, "length")]
    assert kept.messages == []
    assert kept.settings == {}


def test_no_name_of_a_model_is_where_mlflow_would_look_up_its_price() -> None:
    line = line_of(body={"messages": [], "model": "gpt-4"})
    found = made.trace(line, "bot", content.read(line))
    assert "model" not in found.inputs
    assert "model" not in found.outputs
    assert not any(name.startswith("mlflow.llm") for name in found.attributes)
