"""Traces in MLflow's tracking store: written directly, in batches, each with one span.

``mlflow.start_span`` takes six times as long (MLflow 3.17), and its asynchronous export, ten at a
time, loses about half of the traces on SQLite without an error (``QueuePool limit``).
"""

from __future__ import annotations

import functools
import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from llmops.errors import StoreError
from llmops.store.connection import client, store_errors

PAGE = 500
"""Traces per page of a search."""
BATCH = 100
"""Traces per write; a write of spans is a single request."""
PREVIEW = 1_000
"""Characters of prompt and answer in a table of traces."""
REQUESTS = 4
"""Requests to a server at once; MLflow gives each a connection to its database, of which it has 15."""
SESSIONS = "ManagedSessionMaker"
"""Attribute of MLflow's stores that are databases opened by this process."""
SCHEMA = {"mlflow.trace_schema.version": "3"}


@dataclass(frozen=True, kw_only=True)
class TraceRecord:
    """One answer, as a trace with a single span.

    Attributes:
        trace_id: ``tr-`` and 32 hexadecimal digits; see ``new_id``.
        name: Name of the trace, such as ``bot@v7``.
        began: Unix time of the request, in nanoseconds.
        seconds: Seconds until the end of the answer.
        failed: Whether there is no whole answer.
        prompt: Text of the prompt in a table of traces; it is cut to ``PREVIEW``.
        answer: Text of the answer there, likewise.
        tokens: Number of tokens of prompt and answer; ``None`` if unknown.
        inputs: The request, JSON types.
        outputs: The answer, JSON types.
        metadata: Facts that cannot change, such as ``mlflow.modelId``.
        tags: Facts that can be searched and changed.
        attributes: Further attributes of the span, JSON types.
        assessments: MLflow's assessments, such as scores.
    """

    trace_id: str
    name: str
    began: int
    seconds: float
    failed: bool
    prompt: str
    answer: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    tokens: tuple[int, int] | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    assessments: Sequence[Any] = ()

    @property
    def usage(self) -> dict[str, int]:
        """Token counts under MLflow's names; empty if unknown."""
        if self.tokens is None:
            return {}
        names = ("input_tokens", "output_tokens", "total_tokens")
        return dict(zip(names, (*self.tokens, sum(self.tokens)), strict=True))


def new_id() -> str:
    """Return a new id of a trace."""
    return f"tr-{secrets.token_hex(16)}"


def write(
    experiment_id: str,
    records: Sequence[TraceRecord],
    *,
    alone: bool = False,
    written: Callable[[], object] = lambda: None,
) -> None:
    """Write traces; one that exists already is completed.

    Args:
        experiment_id: Experiment of the traces.
        records: The traces; at most ``BATCH`` make a good write.
        alone: Whether no other thread of this process uses the store. A database is then written in
            one transaction, which takes a quarter of the time, and a server gets several requests at once.
        written: Called after each trace.

    Raises:
        StoreError: The store refuses or does not answer; some of the traces may be written.
    """
    from mlflow.tracing.client import TracingClient

    with store_errors(f"writing {len(records)} traces to experiment {experiment_id}"):
        store = TracingClient().store
        with _one_transaction(store, alone=alone):
            # Traces before their spans: in the other order MLflow 3.17 merges each trace with the
            # one that its spans have created, which takes twice as long.
            for _ in _each(
                store, [_info(record, experiment_id) for record in records], alone=alone
            ):
                written()
            store.log_spans(experiment_id, [_span(record) for record in records])


def _each(store: Any, infos: Sequence[Any], *, alone: bool) -> Iterator[Any]:
    """Write the records of traces; to a server several at once, for each is a request."""
    if not alone or hasattr(store, SESSIONS):
        yield from map(store.start_trace, infos)
        return
    with ThreadPoolExecutor(REQUESTS) as pool:
        yield from pool.map(store.start_trace, infos)


@contextmanager
def _one_transaction(store: Any, *, alone: bool) -> Iterator[None]:
    """Let all calls of a block share a transaction, if the store is a database opened by this process.

    MLflow 3.17 commits after each trace, and reads the experiment anew for each.
    """
    sessions = getattr(store, SESSIONS, None)
    if not alone or sessions is None:
        yield
        return
    experiment = store.get_experiment
    with sessions(read_only=False) as session:

        @contextmanager
        def shared(read_only: bool = True) -> Iterator[Any]:
            yield session

        store.ManagedSessionMaker, store.get_experiment = shared, functools.cache(experiment)
        try:
            yield
        finally:
            store.ManagedSessionMaker, store.get_experiment = sessions, experiment


def _info(record: TraceRecord, experiment_id: str) -> Any:
    """Return MLflow's record of a trace."""
    from mlflow.entities import TraceInfo, TraceLocation, TraceState

    return TraceInfo(
        trace_id=record.trace_id,
        trace_location=TraceLocation.from_experiment_id(experiment_id),
        request_time=record.began // 1_000_000,
        state=TraceState.ERROR if record.failed else TraceState.OK,
        execution_duration=round(1000 * record.seconds),
        request_preview=record.prompt[:PREVIEW],
        response_preview=record.answer[:PREVIEW],
        trace_metadata={**SCHEMA, **_usage(record, "mlflow.trace.tokenUsage"), **record.metadata},
        tags={"mlflow.traceName": record.name, **record.tags},
        assessments=list(record.assessments),
    )


def _usage(record: TraceRecord, name: str) -> dict[str, str]:
    return {name: json.dumps(record.usage)} if record.usage else {}


def _span(record: TraceRecord) -> Any:
    from mlflow.entities import Span
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags

    attributes = {
        "mlflow.traceRequestId": record.trace_id,
        "mlflow.spanType": "CHAT_MODEL",
        "mlflow.spanInputs": record.inputs,
        "mlflow.spanOutputs": record.outputs,
        **({"mlflow.chat.tokenUsage": record.usage} if record.usage else {}),
        **record.attributes,
    }
    number = int(record.trace_id.removeprefix("tr-"), 16)
    context = SpanContext(number, secrets.randbits(64), False, TraceFlags(TraceFlags.SAMPLED))
    return Span(
        ReadableSpan(
            name=record.name,
            context=context,
            resource=Resource.get_empty(),
            attributes={name: json.dumps(value) for name, value in attributes.items()},
            start_time=record.began,
            end_time=record.began + round(1e9 * record.seconds),
            status=Status(StatusCode.ERROR if record.failed else StatusCode.OK),
        )
    )


def count(run_id: str, experiment_id: str) -> int:
    """Return the number of traces of a run."""
    found, token = 0, None
    with store_errors(f"counting the traces of run {run_id}"):
        while True:
            page = client().search_traces(
                locations=[experiment_id],
                run_id=run_id,
                max_results=PAGE,
                page_token=token,
                include_spans=False,
            )
            found, token = found + len(page), page.token
            if not token:
                return found


def find(trace_id: str) -> Any | None:
    """Return MLflow's record of a trace, without its spans; ``None`` if there is none.

    Raises:
        StoreError: The store refuses or does not answer.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.tracing.client import TracingClient

    with store_errors(f"trace {trace_id}"):
        try:
            return TracingClient().get_trace_info(trace_id)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"):
                return None
            raise


def experiment(name: str) -> str:
    """Return the id of an experiment, which is created if it does not exist.

    Raises:
        StoreError: The experiment was deleted, or the store refuses or does not answer.
    """
    from mlflow.exceptions import MlflowException

    with store_errors(f"experiment {name}"):
        found = client().get_experiment_by_name(name)
        if found is None:
            with suppress(MlflowException):  # another process was faster
                return str(client().create_experiment(name))
            found = client().get_experiment_by_name(name)
    if found is None or found.lifecycle_stage != "active":
        raise StoreError(
            f"experiment {name}: it was deleted",
            next_command="restore it in MLflow, or choose another: -C experiment=NAME",
        )
    return str(found.experiment_id)
