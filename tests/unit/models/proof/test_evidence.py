"""A version is proven by whole evidence about its bytes that passed, never by an alias."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pytest
from judged import PASSED, REJECTED, forge, judged, thawed
from trained import another_adapter
from versions import log_version

from llmops.errors import NotFoundError, StoreError, UsageError
from llmops.files import digest
from llmops.models.proof import proof, recorded
from llmops.models.resolve import resolve
from llmops.records import ModelFiles, ModelVersion
from llmops.records.models import BaseModel
from llmops.store import connection, registry


@pytest.fixture
def challenger(version: ModelVersion, tiny_model: Path, tmp_path: Path) -> ModelVersion:
    """Version 2 beside the champion, version 1; nobody has judged it."""
    with mlflow.start_run():
        return log_version(another_adapter(tiny_model, tmp_path, seed=5), "tiny", "bot")


def files(version: ModelVersion) -> ModelFiles:
    found = resolve(version.uri)
    assert isinstance(found, ModelFiles)
    return found


def refused(version: ModelVersion, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        proof(files(version))
    assert caught.value.next_command == (
        f"llmops gate RECIPE --candidate {version.uri}, or add -C unproven=allow"
    )


def test_a_version_that_passed_is_proven_before_and_after_promotion(
    challenger: ModelVersion,
) -> None:
    comparison, decision = judged(challenger.uri, "models:/bot/1")
    found = proof(files(challenger))
    assert (found.digest, found.verdict) == (decision.evidence_digest, "IMPROVED")
    assert found.run_id == comparison.run_id
    assert recorded("bot", "2").content.passed


def test_an_alias_that_was_moved_by_hand_proves_nothing(challenger: ModelVersion) -> None:
    registry.set_alias("bot", "champion", "2")
    refused(challenger, "models:/bot/2: has no evidence; a version without proof is not served")


def test_a_verdict_that_did_not_pass_is_no_proof(challenger: ModelVersion) -> None:
    judged(challenger.uri, "models:/bot/1", REJECTED)
    refused(challenger, "its verdict is .*, which did not pass the gate")


def test_evidence_about_another_version_is_no_proof(
    challenger: ModelVersion, tiny_model: Path, tmp_path: Path
) -> None:
    _, decision = judged(challenger.uri, "models:/bot/1", PASSED)
    with mlflow.start_run():
        other = log_version(another_adapter(tiny_model, tmp_path, seed=6), "tiny", "bot")
    tag = decision.evidence_digest[:12]
    connection.client().set_model_version_tag("bot", other.version, "llmops.evidence", tag)
    refused(other, "models:/bot/3: the evidence is about other bytes")


def test_the_same_adapter_over_another_base_is_not_proven(challenger: ModelVersion) -> None:
    judged(challenger.uri, "models:/bot/1")
    from dataclasses import replace

    found = files(challenger)
    other: BaseModel = replace(found.base, digest="0" * 64)
    with pytest.raises(UsageError, match="about other bytes"):
        proof(replace(found, base=other))


@pytest.mark.parametrize(
    "change",
    [
        lambda e: e.update(passed=True),
        lambda e: e["candidate"].update(adapter_digest="0" * 64),
        lambda e: e.clear(),
    ],
    ids=["passed", "bytes", "empty"],
)
def test_evidence_that_was_changed_is_no_proof(
    challenger: ModelVersion, change: Callable[[dict[str, Any]], None]
) -> None:
    comparison, _ = thawed(challenger.uri, "models:/bot/1", REJECTED)
    forge(comparison.run_id, change)
    refused(challenger, f"of run {comparison.run_id} was changed after the verdict")


@pytest.mark.parametrize("text", ["", "no", "%" * 12, "0" * 11, "0" * 64])
def test_a_tag_that_names_no_evidence_is_no_proof(challenger: ModelVersion, text: str) -> None:
    connection.client().set_model_version_tag("bot", "2", "llmops.evidence", text)
    refused(challenger, "expected 12 to 64|has no evidence")


@pytest.mark.parametrize("content", ["not JSON", "[]", "[1, 2]", '"text"', "null"])
def test_a_file_that_is_no_evidence_is_no_proof(challenger: ModelVersion, content: str) -> None:
    comparison, _ = thawed(challenger.uri, "models:/bot/1")
    connection.client().log_text(comparison.run_id, content, "report/evidence.json")
    refused(challenger, "was changed after the verdict")


def test_a_base_and_a_folder_have_no_evidence(version: ModelVersion) -> None:
    from dataclasses import replace

    with pytest.raises(UsageError, match="models:/tiny/1: has no evidence"):
        proof(resolve("tiny"))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no registered version") as caught:
        proof(replace(files(version), uri="models:/m-0123"))
    assert "-C unproven=allow" in str(caught.value.next_command)


def test_a_version_that_is_gone_is_not_found(challenger: ModelVersion) -> None:
    found = files(challenger)
    connection.client().delete_model_version("bot", "2")
    with pytest.raises(NotFoundError, match="models:/bot/2"):
        proof(found)


def test_a_store_that_does_not_answer_is_no_verdict(
    challenger: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged(challenger.uri, "models:/bot/1")
    found = files(challenger)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri("http://127.0.0.1:9")
    try:
        with pytest.raises(StoreError):
            proof(found)
    finally:
        mlflow.set_tracking_uri(before)


def test_the_digest_is_that_of_the_whole_record(challenger: ModelVersion) -> None:
    _, decision = judged(challenger.uri, "models:/bot/1")
    others = {key: value for key, value in decision.evidence.items() if key != "sha256"}
    assert proof(files(challenger)).digest == digest.of_record(others)
