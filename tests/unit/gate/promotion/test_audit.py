"""Audit: what is champion without proof is found, whichever way it got there."""

from __future__ import annotations

import pytest
from judged import REJECTED, champion, judged
from kills import Killed, impatient, killed_at

from llmops.errors import NotFoundError, UsageError
from llmops.gate.promotion.audit import audit, half_done
from llmops.gate.promotion.promote import promote
from llmops.models.proof import proof
from llmops.models.resolve import resolve
from llmops.records import ModelVersion
from llmops.store import connection, ledger, registry


@pytest.fixture
def second(version: ModelVersion, challenger: ModelVersion) -> ModelVersion:
    """Version 2, promoted on its evidence."""
    judged(challenger.uri, version.uri)
    promote(challenger.uri)
    return challenger


def problem(name: str = "bot") -> str:
    (finding,) = audit([name])
    return f"{finding.name}@{finding.alias} {finding.version}: {finding.problem}"


def test_a_champion_on_evidence_is_in_order(second: ModelVersion) -> None:
    assert audit() == ()
    assert audit(["tiny"]) == (), "nobody is champion there"
    with pytest.raises(NotFoundError, match="nobody: no such registered model"):
        audit(["nobody"])


def test_a_champion_that_nobody_judged_is_found(version: ModelVersion) -> None:
    assert problem() == "bot@champion 1: models:/bot/1: has no evidence"
    (finding,) = audit()
    assert finding.next_command == "llmops gate RECIPE --candidate models:/bot/1"
    with pytest.raises(UsageError, match="a version without proof is not served"):
        proof(resolve("models:/bot@champion"))


def test_a_champion_of_before_the_ledger_with_evidence_is_in_order(version: ModelVersion) -> None:
    judged(version.uri, "tiny")
    assert ledger.entries("bot") == ()
    assert audit() == ()


def test_an_alias_moved_by_hand_is_found(second: ModelVersion, third: ModelVersion) -> None:
    registry.set_alias("bot", "champion", "3")
    assert problem() == ("bot@champion 3: moved by hand; by the ledger version 2 is champion")
    with pytest.raises(UsageError, match="a version without proof is not served"):
        proof(resolve("models:/bot@champion"))
    (finding,) = audit()
    assert finding.next_command == "put it back: llmops promote models:/bot/2"
    promote(second.uri)
    assert audit() == ()


def test_back_by_hand_to_the_version_before_is_no_half_done_promotion(
    second: ModelVersion, third: ModelVersion
) -> None:
    registry.set_alias("bot", "champion", "1")
    assert "moved by hand" in problem()
    assert half_done() == ()
    judged(third.uri, second.uri)
    with pytest.raises(UsageError, match="moved by hand"):
        promote(third.uri)
    assert champion() == "1", "and nobody finishes it"


def test_an_alias_that_is_gone_is_found(second: ModelVersion) -> None:
    connection.client().delete_registered_model_alias("bot", "champion")
    assert "version 2 is champion by the ledger, but the alias is gone" in problem()
    promote(second.uri)
    connection.client().delete_model_version("bot", "2")
    assert "but the alias is gone" in problem()


def test_evidence_that_no_longer_covers_the_champion_is_found(
    version: ModelVersion, second: ModelVersion, third: ModelVersion
) -> None:
    judged(second.uri, version.uri, REJECTED)
    assert "which did not pass" in problem()
    _, decision = judged(third.uri, version.uri)
    registry.annotate_version("bot", "2", {"llmops.evidence": decision.evidence_digest})
    assert "its evidence is about other bytes" in problem()
    registry.remove_version_tags("bot", "2", ["llmops.evidence"])
    assert "has no evidence" in problem()


def test_changed_bytes_are_found(second: ModelVersion) -> None:
    source = registry.version_record("bot", "2").source.removeprefix("models:/")
    folder = connection.client().get_logged_model(source).artifact_location
    path = folder.removeprefix("file://") + "/adapter/adapter_model.safetensors"
    with open(path, "r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x77")
    assert "models:/bot/2" in problem()
    assert "digest" in problem()


def test_a_ledger_that_was_deleted_is_found(second: ModelVersion) -> None:
    experiment = connection.client().get_experiment_by_name("bot promotions").experiment_id
    connection.client().delete_experiment(experiment)
    assert "the ledger of promotions, was deleted" in problem()
    (finding,) = half_done()
    assert finding.next_command == f"mlflow experiments restore --experiment-id {experiment}"


def test_a_promotion_that_was_broken_off_is_found(
    second: ModelVersion, third: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch)
    judged(third.uri, second.uri)
    with pytest.raises(Killed):
        killed_at(monkeypatch, 1, lambda: promote(third.uri), ["set_registered_model_alias"])
    assert "bot@champion 2: half done: the promotion to version 3" in problem()
    (finding,) = half_done()
    assert finding.next_command == "llmops promote models:/bot/3"
    assert finding == audit()[0]


def test_what_is_found_is_marked_and_the_mark_taken_away(
    second: ModelVersion, third: ModelVersion
) -> None:
    registry.set_alias("bot", "champion", "3")
    audit()
    assert "proof" not in registry.model_record("bot").tags, "without `mark` nothing is written"
    audit(mark=True)
    assert registry.model_record("bot").tags["proof"] == "UNPROVEN"
    assert registry.version_tag("bot", "3", "proof") == "UNPROVEN"
    assert registry.version_tag("bot", "2", "proof") is None
    registry.set_alias("bot", "champion", "1")
    audit(mark=True)
    assert registry.versions_with_tag("bot", "proof") == ["1"]
    promote(second.uri)
    assert audit(mark=True) == ()
    assert registry.versions_with_tag("bot", "proof") == []
    assert "proof" not in registry.model_record("bot").tags
