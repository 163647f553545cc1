"""The same spans reach a collector of OpenTelemetry, inside the caller's own trace."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from exchanges import TRACEPARENT, line_of

from llmops.errors import LlmopsError
from llmops.serve.traces import content, made, otel

EXPORTER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """A collector on loopback; the spans that it received."""
    pytest.importorskip(EXPORTER)
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    received: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                import gzip

                body = gzip.decompress(body)
            received.append((self.path, ExportTraceServiceRequest.FromString(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
    yield received
    server.shutdown()
    thread.join()
    server.server_close()


def send(**changes: Any) -> None:
    exporter = otel.open_exporter("bot")
    assert exporter is not None
    line = line_of(**changes)
    exporter.export(line, made.trace(line, "bot", content.read(line)))
    exporter.close()


def received(collector: list[Any]) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    ((path, request),) = collector
    assert path == "/v1/traces"
    (resource,) = request.resource_spans
    (span,) = resource.scope_spans[0].spans
    return span, _values(resource.resource.attributes), _values(span.attributes)


def _values(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


def test_a_span_names_service_version_and_tokens(collector: list[Any]) -> None:
    send()
    span, resource, attributes = received(collector)
    assert resource["service.name"] == "llmops"
    assert resource["llmops.deployment"] == "bot"
    assert attributes["llmops.version"] == "bot@v7"
    assert attributes["gen_ai.usage.output_tokens"] == 3
    assert attributes["mlflow.trace_id"] == "tr-" + "1" * 32
    assert span.trace_id.hex() == "1" * 32
    assert "A test." in attributes["gen_ai.output.messages"]
    assert not span.parent_span_id


def test_a_span_lies_in_the_trace_of_its_caller(collector: list[Any]) -> None:
    send(traceparent=TRACEPARENT, error="failed")
    span, _, attributes = received(collector)
    assert span.trace_id.hex() == TRACEPARENT.split("-")[1]
    assert span.parent_span_id.hex() == TRACEPARENT.split("-")[2]
    assert attributes["error.type"] == "failed"
    assert span.status.code == 2


def test_without_an_endpoint_there_is_no_exporter(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in otel.ENDPOINTS:
        monkeypatch.delenv(name, raising=False)
    assert otel.open_exporter("bot") is None


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, EXPORTER, None)
    with pytest.raises(LlmopsError, match="exporter is not installed") as caught:
        otel.open_exporter("bot")
    assert caught.value.next_command == "pip install 'mlflow-llmops[otel]'"
