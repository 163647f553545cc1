"""The trace of an exchange, as MLflow gets it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from llmops.serve.traces import content
from llmops.serve.traces.content import Choice, Content
from llmops.store import tags
from llmops.store.traces import TraceRecord

TTFT = "llmops.ttft_ms"
"""Milliseconds until the first part of a streamed answer: time to first token."""
TRACEPARENT = "llmops.traceparent"


def trace(record: Mapping[str, Any], deployment: str, kept: Content) -> TraceRecord:
    """Return the trace of an exchange.

    Args:
        record: A line of the gateway, see ``recorder``.
        deployment: Name of the deployment.
        kept: What is recorded of prompt and answer.
    """
    answer = kept.choices[0].message.get("content", "") if kept.choices else ""
    error = record["error"]
    messages = {"messages": kept.messages} if kept.messages else {}
    inputs = {**messages, **kept.settings, **record["sampling"]}
    return TraceRecord(
        trace_id=record["trace_id"],
        name=record["version"],
        began=round(1e9 * record["began"]),
        seconds=record["seconds"],
        failed=error is not None,
        prompt=content.text_of(kept.messages),
        answer=answer or (f"(no answer: {error})" if error else ""),
        inputs=content.bounded(inputs),
        outputs=content.bounded(_outputs(record, kept)),
        tokens=_tokens(record),
        metadata=_metadata(record),
        tags={
            tags.VERSION: record["version"],
            tags.DEPLOYMENT: deployment,
            tags.RECEIPT: record["receipt"],
        },
        attributes=_attributes(record),
    )


def without_content(choices: list[Choice]) -> Content:
    """Return a content without prompt and text, only with the reasons why the answers ended."""
    return Content([], {}, [Choice({"role": "assistant"}, one.finish_reason) for one in choices])


def _tokens(record: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return the tokens of prompt and answer; ``None`` if the engine did not report both."""
    counts = (record["prompt_tokens"], record["completion_tokens"])
    return None if None in counts else counts


def _outputs(record: Mapping[str, Any], kept: Content) -> dict[str, Any]:
    """Return the answers in OpenAI's shape, which MLflow shows as a conversation."""
    choices = [{"index": i, **asdict(choice)} for i, choice in enumerate(kept.choices)]
    failed = {"error": record["error"]} if record["error"] else {}
    cut = {"cut": "too long to be recorded"} if record["cut"] else {}
    return {"choices": choices, **failed, **cut}


def _metadata(record: Mapping[str, Any]) -> dict[str, str]:
    first = record["first"]
    found = {
        "mlflow.modelId": record["model_id"],
        "mlflow.trace.user": record["caller"],
        TTFT: None if first is None else str(round(1000 * first)),
        TRACEPARENT: record["traceparent"],
    }
    return {name: value for name, value in found.items() if value is not None}


def _attributes(record: Mapping[str, Any]) -> dict[str, Any]:
    first = record["first"]
    found = {
        # No name of a model, here or in inputs and outputs: MLflow 3.17 would look up its price, and
        # may ask github.com for it.
        TTFT: None if first is None else round(1000 * first),
        "llmops.path": record["path"],
        "llmops.status": record["status"],
        "llmops.error": record["error"],
        "llmops.stream": record["stream"],
    }
    return {name: value for name, value in found.items() if value is not None}
