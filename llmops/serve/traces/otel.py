"""The same spans for an OpenTelemetry collector, if the environment names one."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llmops.errors import LlmopsError
from llmops.store.tags import DEPLOYMENT
from llmops.store.traces import TraceRecord

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
SERVICE = "llmops"


class OtelExporter:
    """Sends spans in the background, in batches; a collector that is away delays nothing.

    Args:
        processor: OpenTelemetry's queue in front of its exporter.
        deployment: Name of the deployment.
    """

    def __init__(self, processor: SpanProcessor, deployment: str) -> None:
        from opentelemetry.sdk.resources import Resource

        named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": SERVICE}
        self._processor = processor
        self._resource = Resource.create({**named, DEPLOYMENT: deployment})

    def export(self, record: Mapping[str, Any], trace: TraceRecord) -> None:
        """Queue the span of an answer, inside the caller's own trace if it named one.

        Args:
            record: A line of the gateway, see ``recorder``.
            trace: What MLflow gets of it: its content is redacted.
        """
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

        number, parent = _context(record["traceparent"], trace.trace_id)
        sampled = TraceFlags(TraceFlags.SAMPLED)
        code = StatusCode.ERROR if trace.failed else StatusCode.OK
        self._processor.on_end(
            ReadableSpan(
                name=f"chat {trace.name}",
                kind=SpanKind.SERVER,
                context=SpanContext(number, secrets.randbits(64) or 1, False, sampled),
                parent=None if parent is None else SpanContext(number, parent, True, sampled),
                resource=self._resource,
                attributes=_attributes(record, trace),
                start_time=trace.began,
                end_time=trace.began + round(1e9 * trace.seconds),
                status=Status(code, record["error"] if trace.failed else None),
            )
        )

    def close(self) -> None:
        """Send what is queued, for a limited time."""
        self._processor.force_flush(5_000)


def open_exporter(deployment: str) -> OtelExporter | None:
    """Return an exporter to the collector that the environment names; ``None`` if it names none.

    Raises:
        LlmopsError: OpenTelemetry's exporter is not installed.
    """
    if not any(map(os.environ.get, ENDPOINTS)):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        raise LlmopsError(
            f"{ENDPOINTS[0]} is set, but OpenTelemetry's exporter is not installed",
            next_command="pip install 'mlflow-llmops[otel]'",
        ) from error
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    return OtelExporter(BatchSpanProcessor(OTLPSpanExporter()), deployment)


def _context(traceparent: str | None, trace_id: str) -> tuple[int, int | None]:
    """Return the id of the trace, and of the caller's span in it."""
    if traceparent is None:
        return int(trace_id.removeprefix("tr-"), 16), None
    _, number, parent, _ = traceparent.split("-")
    return int(number, 16), int(parent, 16)


def _attributes(record: Mapping[str, Any], trace: TraceRecord) -> dict[str, Any]:
    """Return attributes by OpenTelemetry's conventions for generative AI, and our own."""
    choices = trace.outputs.get("choices", ())
    found = {
        "gen_ai.operation.name": "chat" if "chat" in record["path"] else "text_completion",
        "gen_ai.provider.name": SERVICE,
        "gen_ai.request.model": record["version"],
        "gen_ai.response.model": record["version"],
        "gen_ai.response.finish_reasons": [
            choice["finish_reason"] for choice in choices if choice.get("finish_reason")
        ],
        "gen_ai.usage.input_tokens": record["prompt_tokens"],
        "gen_ai.usage.output_tokens": record["completion_tokens"],
        "http.response.status_code": record["status"],
        "error.type": record["error"],
        "mlflow.trace_id": trace.trace_id,
        **trace.tags,
    }
    if messages := trace.inputs.get("messages"):
        found["gen_ai.input.messages"] = json.dumps(messages)
        found["gen_ai.output.messages"] = json.dumps([one.get("message") for one in choices])
    return {name: value for name, value in found.items() if value is not None}
