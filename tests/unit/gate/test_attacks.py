"""Tampered evidence, damaged bytes, and a gate that is killed while it writes: nothing moves."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import mlflow
import pytest
from damage import flip, leave_alias_dangling
from judged import (
    PASSED,
    REJECTED,
    as_frozen,
    champion,
    compared,
    forge_with_tags,
    judged,
    question,
    thawed,
)
from kills import Killed, killed_at
from trained import other_base
from versions import log_version

from llmops.errors import IntegrityError, NotFoundError, UsageError
from llmops.files import digest, home
from llmops.gate import gate, record
from llmops.gate.promotion.promote import promote
from llmops.models.resolve import resolve
from llmops.recipe.schema import Gate
from llmops.records import Comparison, ModelVersion, Verdict
from llmops.store import connection, registry

SAME_OR_WORSE = Gate.model_validate(
    {"require": [{"metric": "one_line", "must": "not_regress", "margin": 0.001}]}
)
"""A policy that the figures of ``judged`` break, and that the same bytes would pass."""


CONTRADICTIONS = {
    "verdict": lambda e: e.update(verdict="NOT_WORSE"),
    "passed": lambda e: e.update(passed=False),
    "policy": lambda e: with_policy(e, min_prompts=5000),
    "metric": lambda e: e["metrics"][0]["test"].update(low=-0.5),
    "check": lambda e: e["checks"][0].update(passed=None),
    "one check less": lambda e: e.update(checks=e["checks"] * 2),
}
DAMAGES = {
    "text for yes": (lambda e: e.update(passed="no"), "passed: Input should be a valid boolean"),
    "number as text": (lambda e: e["metrics"][0]["test"].update(low="0.1"), "metrics.0.test.low: "),
    "schema": (
        lambda e: e.update(schema_version=99),
        "schema_version 99; this llmops reads 1 and 2",
    ),
    "no schema": (lambda e: e.pop("schema_version"), "schema_version None"),
    "schema as text": (lambda e: e.update(schema_version="1"), "schema_version '1'"),
    "no baseline": (lambda e: e.pop("baseline"), "baseline: Field required"),
    "no digest": (lambda e: e["candidate"].pop("base_digest"), "candidate.base_digest: Field req"),
    "no test": (lambda e: e["metrics"][0].pop("test"), "metrics.0.test: Field required"),
    "no metrics": (lambda e: e.update(metrics=[]), "metrics: Tuple should have at least 1 item"),
    "no checks": (lambda e: e.update(checks=[]), "checks: Tuple should have at least 1 item"),
    "list": (lambda e: e.update(candidate=[]), "candidate: "),
    "policy": (lambda e: e["policy"].update(min_prompts=2), "policy.digest is not that of the"),
    "metric": (lambda e: e.update(metrics=e["metrics"][1:]), "'token_f1' was not computed"),
    "infinite": (
        lambda e: e["metrics"][0]["test"].update(low=math.inf),
        "changed after the verdict",
    ),
}


def with_policy(evidence: dict[str, Any], **changes: object) -> None:
    """Changes the policy in a record, and its digest with it."""
    content = {**evidence["policy"], **changes}
    for key in ("digest", "bound"):
        content.pop(key)
    bound = digest.of_record({"gate": content, "scorers": evidence["scorers"]})
    evidence["policy"] = {**content, "digest": digest.of_record(content), "bound": bound}


def forged(comparison: Comparison, change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """The evidence of a comparison as the gate wrote it, changed."""
    evidence = json.loads(json.dumps(gate(comparison, PASSED).evidence))
    change(evidence)
    return dict(evidence)


def test_evidence_that_contradicts_itself_moves_nothing(
    version: ModelVersion, challenger: ModelVersion
) -> None:
    comparison, _ = thawed(challenger.uri, version.uri)
    for name, change in CONTRADICTIONS.items():
        forge_with_tags(comparison.run_id, forged(comparison, change))
        with pytest.raises(UsageError, match="bot/2: the evidence contradicts itself") as caught:
            promote(challenger.uri)
        assert caught.value.next_command == "llmops gate RECIPE --candidate models:/bot/2", name
    assert champion() == "1"


def test_evidence_whose_reason_is_worded_otherwise_is_no_contradiction(
    version: ModelVersion, challenger: ModelVersion
) -> None:
    few = Gate.model_validate({**PASSED.model_dump(mode="json"), "min_prompts": 5_000})
    comparison, decision = judged(challenger.uri, version.uri, few)
    assert decision.checks[0].reason
    evidence = json.loads(json.dumps(decision.evidence))
    for check in evidence["checks"]:  # as an earlier state wrote them
        del check["reason"]
    forge_with_tags(comparison.run_id, evidence)
    with pytest.raises(UsageError, match="its verdict is INCONCLUSIVE"):
        promote(challenger.uri)


def test_evidence_of_another_form_moves_nothing(
    version: ModelVersion, challenger: ModelVersion
) -> None:
    comparison, _ = thawed(challenger.uri, version.uri)
    for name, (change, says) in DAMAGES.items():
        forge_with_tags(comparison.run_id, forged(comparison, change))
        with pytest.raises(UsageError, match=re.escape(says)) as caught:
            promote(challenger.uri)
        assert str(caught.value).startswith("models:/bot/2: "), name
    assert champion() == "1"


def test_a_rejected_version_is_not_promoted_by_saying_that_it_passed(
    version: ModelVersion, challenger: ModelVersion
) -> None:
    comparison, _ = judged(challenger.uri, version.uri, REJECTED)
    evidence = deepcopy(dict(gate(comparison, REJECTED).evidence))
    forge_with_tags(comparison.run_id, {**evidence, "passed": True, "verdict": "IMPROVED"})
    with pytest.raises(UsageError, match="it says IMPROVED, passed; its metrics and policy say"):
        promote(challenger.uri)
    assert champion() == "1"


def test_keys_that_a_later_llmops_adds_are_no_damage(
    version: ModelVersion, challenger: ModelVersion
) -> None:
    comparison, _ = judged(challenger.uri, version.uri)
    forge_with_tags(comparison.run_id, forged(comparison, lambda e: e.update(later=1)))
    promote(challenger.uri)
    assert champion() == "2"


def test_a_tag_that_is_no_digest_moves_nothing(
    version: ModelVersion, challenger: ModelVersion
) -> None:
    _, decision = judged(challenger.uri, version.uri)
    whole = decision.evidence_digest
    for odd in (
        "%",
        "_" * 12,
        "' or '1'='1",
        " ",
        whole[:11],
        whole[:12].upper() + "A",
        whole + "0",
    ):
        connection.client().set_model_version_tag("bot", "2", "llmops.evidence", odd)
        with pytest.raises(UsageError, match="expected 12 to 64 hexadecimal digits"):
            promote(challenger.uri)
    assert champion() == "1"


def test_every_digit_of_the_digest_counts(version: ModelVersion, challenger: ModelVersion) -> None:
    comparison, decision = judged(challenger.uri, version.uri)
    whole, client = decision.evidence_digest, connection.client()
    other = whole[:-1] + ("0" if whole[-1] != "0" else "1")
    client.set_tag(comparison.run_id, "llmops.evidence", other)
    with pytest.raises(IntegrityError, match="was changed after the verdict"):
        promote(challenger.uri)
    client.set_tag(comparison.run_id, "llmops.evidence", whole)
    client.set_model_version_tag("bot", "2", "llmops.evidence", other)
    with pytest.raises(UsageError, match="has no evidence"):
        promote(challenger.uri)
    client.set_model_version_tag("bot", "2", "llmops.evidence", whole)
    promote(challenger.uri)
    assert champion() == "2"


def files_of(version: ModelVersion) -> Path:
    """The version's files in the store, which is a local folder here."""
    return Path(mlflow.artifacts.download_artifacts(version.uri))


@pytest.mark.parametrize("file", ["adapter_model.safetensors", "adapter_config.json"])
@pytest.mark.parametrize("damage", [flip, Path.unlink], ids=["flipped", "deleted"])
def test_bytes_that_are_damaged_in_the_store_are_not_promoted(
    version: ModelVersion, challenger: ModelVersion, file: str, damage: Callable[[Path], None]
) -> None:
    judged(challenger.uri, version.uri)  # a whole copy is in the cache of this machine
    damage(files_of(challenger) / "adapter" / file)
    with pytest.raises(
        IntegrityError, match=r"models:/bot/2: adapter digest .* differs from the r"
    ):
        promote(challenger.uri)
    assert champion() == "1"
    assert list(home.folder("staging").iterdir()) == []


def test_a_full_model_is_read_in_the_store_too(version: ModelVersion, tiny_model: Path) -> None:
    with mlflow.start_run():
        full = log_version(tiny_model, None, "bot")
    judged(full.uri, version.uri)
    weights = files_of(full) / "model" / "model.safetensors"
    flip(weights)
    with pytest.raises(IntegrityError, match="the bytes differ"):
        promote(full.uri)
    assert champion() == "1"
    flip(weights)
    promote(full.uri)
    assert champion() == "2"


def test_evidence_about_the_same_adapter_over_another_base_is_not_taken(
    version: ModelVersion, challenger: ModelVersion, tiny_adapter: Path, tmp_path: Path
) -> None:
    with mlflow.start_run():  # the champion's adapter, and another base
        moved = log_version(tiny_adapter, other_base(tmp_path), "bot")
    assert moved.adapter_digest == version.adapter_digest
    _, decision = judged(challenger.uri, moved.uri)
    assert decision.passed
    with pytest.raises(UsageError, match="stale: it compares with models:/bot/3, but @champion is"):
        promote(challenger.uri)  # judged against the other base
    _, decision = judged(moved.uri, version.uri, SAME_OR_WORSE)
    assert decision.verdict != Verdict.NOT_WORSE, "not the same bytes: it was tested"
    _, decision = judged(version.uri, "tiny")
    short = decision.evidence_digest[:12]
    connection.client().set_model_version_tag("bot", "3", "llmops.evidence", short)
    with pytest.raises(UsageError, match="models:/bot/3: the evidence is about other bytes"):
        promote(moved.uri)
    assert champion() == "1"


def test_an_alias_of_a_deleted_version_is_no_missing_champion(
    version: ModelVersion, challenger: ModelVersion, store: str
) -> None:
    judged(challenger.uri, "tiny")
    leave_alias_dangling(store, "7")
    with pytest.raises(NotFoundError, match="@champion: points to version 7, which was deleted"):
        promote(challenger.uri)


@pytest.mark.parametrize("tag", [{"llmops.kind": "base"}, {"llmops.base_digest": "0" * 64}])
def test_a_version_whose_tags_contradict_its_pin_is_not_promoted(
    version: ModelVersion, challenger: ModelVersion, tag: dict[str, str]
) -> None:
    judged(challenger.uri, version.uri)
    registry.annotate_version("bot", "2", tag)
    with pytest.raises(IntegrityError, match="models:/bot/2: the tag llmops"):
        promote(challenger.uri)
    assert champion() == "1"


def test_old_evidence_is_void_from_the_first_write_of_a_new_one(
    version: ModelVersion, challenger: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill before each write: nothing passes that the last verdict does not pass."""
    rejected = gate(made := compared(challenger.uri, version.uri), REJECTED)
    writes = killed_at(monkeypatch, 10**6, lambda: record(made, rejected))
    assert writes > 10
    for number in range(1, writes + 1):
        judged(challenger.uri, version.uri)  # evidence that would move the alias
        with pytest.raises(Killed):
            killed_at(monkeypatch, number, lambda: record(made, rejected))
        if number == 1:  # nothing was written
            continue
        with pytest.raises(UsageError, match="models:/bot/2: has no evidence"):
            promote(challenger.uri)
    assert champion() == "1"


def test_new_evidence_passes_when_all_of_it_is_written(
    version: ModelVersion, challenger: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = question(resolve(challenger.uri), resolve(version.uri))
    passed = gate(made := as_frozen(compared(challenger.uri, version.uri), asked), PASSED)
    writes = killed_at(monkeypatch, 10**6, lambda: record(made, passed))
    judged(challenger.uri, version.uri, REJECTED)
    for number in range(1, writes + 1):
        with pytest.raises(Killed):
            killed_at(monkeypatch, number, lambda: record(made, passed))
        with pytest.raises(UsageError, match=r"has no evidence|its verdict is"):
            promote(challenger.uri)
    record(made, passed)
    promote(challenger.uri)
    assert champion() == "2"
