"""A receipt is verified against the registry as it is now, and against its seal."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from llmops.errors import IntegrityError, NotFoundError, UsageError
from llmops.models import training_run, versions
from llmops.models.proof import recorded_as
from llmops.records import ModelVersion
from llmops.records.models import identity
from llmops.serve.receipts.receipt import Receipt, is_sealed, parse
from llmops.store import traces
from llmops.store.tags import RECEIPT, VERSION

TRACE_ID = re.compile(r"tr-[0-9a-f]{32}")
MODEL_ID = "mlflow.modelId"


@dataclass(frozen=True)
class Check:
    """One statement of a receipt, compared with what is found now.

    Attributes:
        what: What is compared, such as ``adapter``.
        agrees: Whether both are the same; ``None`` if it cannot be known.
        found: What is found now.
    """

    what: str
    agrees: bool | None
    found: str


@dataclass(frozen=True)
class Verified:
    """A receipt with the trace that holds it.

    Attributes:
        trace_id: Id of the trace.
        experiment_id: Experiment of the trace.
        receipt: The receipt.
        time: Time of the request, UTC, ISO 8601.
        state: ``OK`` or ``ERROR``.
        input_tokens: Tokens of the prompt; ``None`` if unknown.
        output_tokens: Tokens of the answer; ``None`` if unknown.
        checks: Each statement of the receipt, compared.
    """

    trace_id: str
    experiment_id: str
    receipt: Receipt
    time: str | None
    state: str
    input_tokens: int | None
    output_tokens: int | None
    checks: tuple[Check, ...]

    @property
    def contradictions(self) -> tuple[Check, ...]:
        """The checks that do not agree."""
        return tuple(check for check in self.checks if check.agrees is False)


def verify(trace_id: str) -> Verified:
    """Verify the receipt of an answer.

    Args:
        trace_id: Id of its trace, the header ``x-mlflow-trace-id`` of the answer.

    Raises:
        UsageError: That is no id of a trace, or the trace has no receipt.
        NotFoundError: The store has no such trace.
        IntegrityError: The receipt is damaged.
        StoreError: The store refuses or does not answer.
    """
    if not TRACE_ID.fullmatch(trace_id):
        raise UsageError(
            f"{trace_id!r}: expected tr- and 32 hexadecimal digits, the header x-mlflow-trace-id of"
            " an answer"
        )
    info = traces.find(trace_id)
    if info is None:
        raise NotFoundError(
            f"{trace_id}: no such trace in the MLflow store; a deployment writes it some seconds after"
            " the answer",
            next_command="rerun, or set MLFLOW_TRACKING_URI to the store of the deployment",
        )
    text = info.tags.get(RECEIPT)
    if text is None:
        raise UsageError(f"{trace_id}: has no receipt, so no deployment of llmops wrote it")
    receipt = parse(text)
    usage = info.token_usage or {}
    return Verified(
        trace_id=trace_id,
        experiment_id=str(info.experiment_id),
        receipt=receipt,
        time=training_run.time(info.request_time),
        state=str(getattr(info.state, "value", info.state)),
        input_tokens=usage.get("input_tokens"),
        output_tokens=usage.get("output_tokens"),
        checks=(*_of_trace(info, receipt), *_of_version(info, receipt), _of_decision(receipt)),
    )


def _of_trace(info: Any, receipt: Receipt) -> list[Check]:
    """Compare the receipt with its trace, and with its seal."""
    sealed = is_sealed(receipt)
    words = {
        True: "valid",
        False: "wrong: the receipt was changed",
        None: "made on another machine",
    }
    tagged = info.tags.get(VERSION)
    return [
        Check("seal", sealed, words[sealed]),
        Check("trace", receipt.trace == info.trace_id, receipt.trace or "none is named"),
        Check("tag of the trace", tagged == receipt.version, str(tagged)),
    ]


def _of_version(info: Any, receipt: Receipt) -> list[Check]:
    """Compare the receipt with the pin that the registered version has now."""
    try:
        version = _registered(receipt)
    except (NotFoundError, UsageError, IntegrityError) as error:
        unknown = [Check(what, None, "unknown") for what in ("adapter", "base", "logged model")]
        return [Check("version", False, error.message), *unknown]
    model = info.trace_metadata.get(MODEL_ID)
    return [
        Check("version", True, version.uri),
        Check(
            "adapter", receipt.adapter == version.adapter_digest, version.adapter_digest or "none"
        ),
        Check("base", receipt.base == version.base_digest, version.base_digest),
        Check("logged model", model == version.model_id, version.model_id or "none"),
    ]


def _registered(receipt: Receipt) -> ModelVersion:
    found = versions.VERSION.fullmatch(receipt.uri)
    if found is None:
        raise UsageError(f"{receipt.version!r} is no name of a version, such as bot@v7")
    return versions.get_version(*found.groups())


def _of_decision(receipt: Receipt) -> Check:
    """Read the evidence that the receipt names, which may be older than the version's present one."""
    if receipt.decision is None:
        return Check("decision", None, "served without proof (-C unproven=allow)")
    try:
        found = recorded_as(receipt.decision, receipt.uri)
    except (UsageError, IntegrityError) as error:
        return Check("decision", False, error.message)
    evidence = found.content
    if evidence.candidate.identity != identity(receipt.base, receipt.adapter):
        return Check("decision", False, f"run {found.run_id} is about other bytes")
    if not evidence.passed:
        return Check("decision", False, f"run {found.run_id} did not pass: {evidence.verdict}")
    return Check("decision", True, f"{evidence.verdict}, run {found.run_id}")
