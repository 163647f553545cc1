"""A receipt is verified against the registry as it is now: each statement agrees or contradicts."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import pytest
from exchanges import line_of
from judged import PASSED, REJECTED, forge, judged
from trained import another_adapter
from versions import log_version

from llmops.errors import IntegrityError, NotFoundError, UsageError
from llmops.files import home
from llmops.models.proof import proof
from llmops.models.resolve import resolve
from llmops.records import ModelFiles, ModelVersion
from llmops.records.serving import Served, served_name
from llmops.serve.receipts import Issuer, Receipt, Verified, verify
from llmops.serve.traces import content, made
from llmops.store import connection, traces
from llmops.store.tags import RECEIPT


@pytest.fixture
def challenger(version: ModelVersion, tiny_model: Path, tmp_path: Path) -> ModelVersion:
    """Version 2, which passed its gate."""
    with mlflow.start_run():
        made = log_version(another_adapter(tiny_model, tmp_path, seed=5), "tiny", "bot")
    judged(made.uri, version.uri, PASSED)
    return made


def answered(version: ModelVersion, /, *, unproven: bool = False, **changes: Any) -> str:
    """Write the trace of an answer, and return its id."""
    files = resolve(version.uri)
    assert isinstance(files, ModelFiles)
    served = Served(served_name(files.uri), files, None if unproven else proof(files))
    trace_id = traces.new_id()
    receipt = replace(Issuer("bot").issue(served, trace_id), **changes)
    line = line_of(
        trace_id=trace_id,
        receipt=receipt.text,
        version=served.name,
        model_id=files.model_id,
        began=time.time(),
    )
    traces.write(traces.experiment("bot-serving"), [made.trace(line, "bot", content.read(line))])
    return trace_id


def results(found: Verified) -> dict[str, bool | None]:
    return {check.what: check.agrees for check in found.checks}


def contradicted(found: Verified) -> set[str]:
    return {check.what for check in found.contradictions}


def test_an_honest_answer_agrees_in_everything(challenger: ModelVersion) -> None:
    found = verify(answered(challenger))
    assert set(results(found).values()) == {True}
    assert set(results(found)) == {
        *("seal", "trace", "tag of the trace"),
        *("version", "adapter", "base", "logged model", "decision"),
    }
    assert found.receipt.version == "bot@v2"
    assert (found.input_tokens, found.output_tokens, found.state) == (9, 3, "OK")
    assert found.time is not None


def test_a_version_without_proof_is_no_contradiction(version: ModelVersion) -> None:
    found = verify(answered(version, unproven=True))
    assert contradicted(found) == set()
    assert results(found)["decision"] is None


def test_evidence_stays_valid_after_a_new_verdict(challenger: ModelVersion) -> None:
    trace_id = answered(challenger)
    judged(challenger.uri, "models:/bot/1", REJECTED)
    assert contradicted(verify(trace_id)) == set(), "it was served on the evidence of its time"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"adapter": "0" * 64}, {"seal", "adapter", "decision"}),
        ({"adapter": None}, {"seal", "adapter", "decision"}),
        ({"base": "0" * 64}, {"seal", "base", "decision"}),
        ({"decision": "0" * 64}, {"seal", "decision"}),
        ({"version": "bot@v1"}, {"seal", "tag of the trace", "adapter", "logged model"}),
        ({"version": "bot@v9"}, {"seal", "tag of the trace", "version"}),
        ({"version": "nobody"}, {"seal", "tag of the trace", "version"}),
        ({"trace": "tr-" + "3" * 32}, {"seal", "trace"}),
        ({"deployment": "other"}, {"seal"}),
    ],
    ids=lambda given: str(sorted(given)),  # a set has no fixed order
)
def test_each_changed_statement_is_found(
    challenger: ModelVersion, change: dict[str, Any], what: set[str]
) -> None:
    assert contradicted(verify(answered(challenger, **change))) == what


def test_a_receipt_of_another_trace_is_found(challenger: ModelVersion) -> None:
    first, second = answered(challenger), answered(challenger)
    text = _info(first).tags[RECEIPT]
    connection.client().set_trace_tag(second, RECEIPT, text)
    assert contradicted(verify(second)) == {"trace"}


def test_another_machine_verifies_all_but_the_seal(challenger: ModelVersion) -> None:
    trace_id = answered(challenger)
    (home.folder("keys") / "receipts").unlink()
    found = verify(trace_id)
    assert results(found)["seal"] is None
    assert contradicted(found) == set()


def test_a_deleted_version_is_a_contradiction(challenger: ModelVersion) -> None:
    trace_id = answered(challenger)
    connection.client().delete_model_version("bot", "2")
    found = verify(trace_id)
    assert contradicted(found) == {"version"}
    assert results(found)["adapter"] is None


@pytest.mark.parametrize(
    "change", [lambda e: e.update(verdict="NOT_WORSE"), lambda e: e.clear()], ids=["one", "all"]
)
def test_evidence_that_was_changed_since_is_a_contradiction(
    challenger: ModelVersion, change: Callable[[dict[str, Any]], None]
) -> None:
    trace_id = answered(challenger)
    forge(_evidence_run(challenger), change)
    assert contradicted(verify(trace_id)) == {"decision"}


def test_unknown_traces_and_traces_without_receipt_are_named(
    challenger: ModelVersion, version: ModelVersion
) -> None:
    with pytest.raises(NotFoundError, match="no such trace in the MLflow store"):
        verify(traces.new_id())
    for odd in ("", "bot@v2", "tr-1", "TR-" + "1" * 32, "tr-" + "1" * 32 + "\n"):
        with pytest.raises(UsageError, match="expected tr- and 32 hexadecimal digits"):
            verify(odd)
    trace_id = answered(challenger)
    connection.client().delete_trace_tag(trace_id, RECEIPT)
    with pytest.raises(UsageError, match="has no receipt"):
        verify(trace_id)
    connection.client().set_trace_tag(trace_id, RECEIPT, "nonsense")
    with pytest.raises(IntegrityError, match="receipt: not a dictionary"):
        verify(trace_id)


def _info(trace_id: str) -> Any:
    return traces.find(trace_id)


def _evidence_run(version: ModelVersion) -> str:
    files = resolve(version.uri)
    assert isinstance(files, ModelFiles)
    return proof(files).run_id


def test_a_receipt_is_what_the_header_says(challenger: ModelVersion) -> None:
    found = verify(answered(challenger))
    assert isinstance(found.receipt, Receipt)
    assert found.receipt.text == _info(found.trace_id).tags[RECEIPT]
