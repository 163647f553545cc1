"""Metrics of a deployment for Prometheus, per version."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from llmops.serve.gateway.hooks import Exchange

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320)
RATES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""Bounds of buckets in seconds, and in tokens per second."""
OK = "ok"


class Live(Collector):
    """Figures that are read when Prometheus asks.

    Args:
        gauges: Function for each name and help text.
        in_flight: Returns the requests in flight by version.
        counters: Function for each name and help text.
    """

    def __init__(
        self,
        gauges: dict[tuple[str, str], Callable[[], float]],
        in_flight: Callable[[], dict[str, int]],
        counters: dict[tuple[str, str], Callable[[], float]],
    ) -> None:
        self._gauges, self._in_flight, self._counters = gauges, in_flight, counters

    def collect(self) -> Iterator[Metric]:
        """Yield the figures of this moment."""
        for (name, text), read in self._gauges.items():
            yield GaugeMetricFamily(name, text, value=read())
        for (name, text), read in self._counters.items():
            yield CounterMetricFamily(name, text, value=read())
        flight = GaugeMetricFamily(
            "llmops_in_flight", "Requests being answered.", labels=["version"]
        )
        for version, number in self._in_flight().items():
            flight.add_metric([version], number)
        yield flight


class Metrics:
    """The metrics, and the functions that update them."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # of no use to anybody
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        by = ["version"]
        self._registry = registry
        self._requests = Counter(
            "llmops_requests", "Requests by outcome.", [*by, "outcome"], registry=registry
        )
        self._first = Histogram(
            "llmops_time_to_first_token_seconds",
            "Time from the request to the first event of its stream.",
            by,
            buckets=SECONDS,
            registry=registry,
        )
        self._seconds = Histogram(
            "llmops_request_seconds",
            "Time from the request to the end of its answer.",
            by,
            buckets=SECONDS,
            registry=registry,
        )
        self._tokens = Counter(
            "llmops_tokens", "Tokens of prompts and answers.", [*by, "kind"], registry=registry
        )
        self._rate = Histogram(
            "llmops_tokens_per_second",
            "Tokens of an answer per second, streamed or whole.",
            by,
            buckets=RATES,
            registry=registry,
        )
        self._refused = Counter(
            "llmops_refused", "Requests that reached no version.", ["status"], registry=registry
        )
        self._current = Gauge(
            "llmops_current_version", "1 for the version that answers now.", by, registry=registry
        )
        self._child = cache(lambda metric, *labels: metric.labels(*labels))

    def watch(self, live: Live) -> None:
        """Add figures that are read when Prometheus asks."""
        self._registry.register(live)

    def current(self, version: str) -> None:
        """Note which version answers now."""
        self._current.clear()
        self._current.labels(version).set(1)

    def ended(self, exchange: Exchange) -> None:
        """Count an exchange that ended, however it did."""
        version, child = exchange.served.name, self._child
        child(self._requests, version, exchange.error or OK).inc()
        child(self._seconds, version).observe(exchange.seconds)
        if exchange.first is not None:
            child(self._first, version).observe(exchange.first)
        if exchange.prompt_tokens:
            child(self._tokens, version, "prompt").inc(exchange.prompt_tokens)
        if exchange.completion_tokens:
            child(self._tokens, version, "completion").inc(exchange.completion_tokens)
            if exchange.seconds:
                rate = exchange.completion_tokens / exchange.seconds
                child(self._rate, version).observe(rate)

    def refused(self, status: int) -> None:
        """Count a request that was refused before a version took it."""
        self._child(self._refused, str(status)).inc()

    def text(self) -> bytes:
        """Return all metrics in Prometheus' format."""
        return generate_latest(self._registry)
