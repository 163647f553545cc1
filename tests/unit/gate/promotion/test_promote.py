"""Promotion: only on evidence that is whole, passed, and about these bytes and this champion."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from judged import PASSED, REJECTED, champion, forge, judged, thawed
from kills import LEDGER_WRITES, Killed, impatient, killed_at

import llmops
from llmops.errors import LlmopsError, StoreError, UsageError
from llmops.gate.promotion.audit import half_done
from llmops.gate.promotion.promote import promote
from llmops.records import ModelVersion
from llmops.records.promotion import Kind
from llmops.store import connection, ledger, registry

EVIDENCE = "report/evidence.json"


def test_a_version_that_passed_takes_the_alias(
    version: ModelVersion, challenger: ModelVersion
) -> None:
    judged(challenger.uri, version.uri)
    assert champion() == "1", "judging moves nothing"
    assert llmops.promote("models:/bot@challenger") == "models:/bot/2"
    assert champion() == "2"
    assert promote(challenger.uri) == challenger.uri, "whoever is champion may stay it"


def test_the_first_champion_needs_no_other(challenger: ModelVersion) -> None:
    connection.client().delete_registered_model_alias("bot", "champion")
    _, decision = judged(challenger.uri, "tiny")
    promote(challenger.uri)
    assert champion() == "2"
    (entry,) = ledger.entries("bot")
    assert (entry.number, entry.kind, entry.before, entry.version) == (1, Kind.PROMOTE, None, "2")
    assert (entry.identity, entry.evidence) == (challenger.digest, decision.evidence_digest)
    assert entry.who
    assert entry.when.endswith("+00:00")


def test_the_champion_from_before_the_ledger_is_its_first_entry(
    version: ModelVersion, challenger: ModelVersion
) -> None:
    judged(challenger.uri, version.uri)
    promote(challenger.uri)
    adopted, promoted = ledger.entries("bot")
    assert (adopted.kind, adopted.version, adopted.policy) == (Kind.ADOPTED, "1", None)
    assert (adopted.identity, adopted.evidence) == (version.digest, None)
    assert (promoted.kind, promoted.before, promoted.version) == (Kind.PROMOTE, "1", "2")
    promote(challenger.uri)
    assert len(ledger.entries("bot")) == 2, "what is so already is not written again"


def test_the_alias_is_the_one_that_the_policy_names(challenger: ModelVersion) -> None:
    judged(challenger.uri, "tiny", PASSED.model_copy(update={"on_pass": "production"}))
    for alias in ("champion", "Production", "challenger"):
        with pytest.raises(
            UsageError, match=f"promotes to @production .*, not to @{alias}"
        ) as caught:
            promote(challenger.uri, alias=alias)
        assert caught.value.next_command == "llmops promote models:/bot/2 --to production"
    assert registry.version_of_alias("bot", "Production") is None
    promote(challenger.uri, alias="production")
    assert registry.version_of_alias("bot", "production") == "2"
    assert champion() == "1"
    with pytest.raises(LlmopsError, match="alias"):
        promote(challenger.uri, alias="not an alias")


def test_without_evidence_nothing_moves(challenger: ModelVersion) -> None:
    with pytest.raises(UsageError, match="models:/bot/2: has no evidence") as caught:
        promote(challenger.uri)
    assert caught.value.next_command == "llmops gate RECIPE --candidate models:/bot/2"
    assert champion() == "1"


def test_a_verdict_that_did_not_pass_moves_nothing(
    version: ModelVersion, challenger: ModelVersion
) -> None:
    _, decision = judged(challenger.uri, version.uri, REJECTED)
    with pytest.raises(
        UsageError, match=f"its verdict is {decision.verdict}, which the policy"
    ) as caught:
        promote(challenger.uri)
    assert caught.value.next_command == "llmops show models:/bot/2"
    assert champion() == "1"


@pytest.mark.parametrize(
    "change",
    [
        lambda e: e.update(passed=True, verdict="IMPROVED"),
        lambda e: e["metrics"][0]["test"].update(low=0.3),
        lambda e: e["policy"].update(min_prompts=2),
        lambda e: e["candidate"].update(adapter_digest="0" * 64),
        lambda e: e.update(extra=1),
        lambda e: e.pop("notes"),
        lambda e: e.clear(),
    ],
    ids=["verdict", "figure", "policy", "bytes", "more", "less", "empty"],
)
def test_evidence_that_was_changed_moves_nothing(
    version: ModelVersion, challenger: ModelVersion, change: Callable[[dict[str, Any]], None]
) -> None:
    comparison, _ = thawed(challenger.uri, version.uri, REJECTED)
    forge(comparison.run_id, change)
    with pytest.raises(UsageError, match=f"of run {comparison.run_id} was changed after"):
        promote(challenger.uri)
    assert champion() == "1"


def test_a_policy_that_came_after_the_answers_needs_a_reason(
    version: ModelVersion, challenger: ModelVersion
) -> None:
    thawed(challenger.uri, version.uri)
    with pytest.raises(UsageError, match="was not recorded before the first answer") as caught:
        promote(challenger.uri)
    assert "llmops promote models:/bot/2 --why TEXT" in str(caught.value.next_command)
    assert champion() == "1"
    promote(challenger.uri, why="an old comparison, read again")
    assert champion() == "2"
    assert ledger.entries("bot")[-1].why == "an old comparison, read again"
    promote(challenger.uri)


def test_layout_of_the_evidence_file_is_no_change(
    version: ModelVersion, challenger: ModelVersion
) -> None:
    comparison, _ = judged(challenger.uri, version.uri)
    forge(comparison.run_id, lambda _: None)  # other spaces, the same record
    promote(challenger.uri)
    assert champion() == "2"


def test_evidence_that_is_gone_moves_nothing(
    version: ModelVersion, challenger: ModelVersion
) -> None:
    comparison, _ = judged(challenger.uri, version.uri)
    connection.client().delete_run(comparison.run_id)
    with pytest.raises(UsageError, match="has no evidence"):
        promote(challenger.uri)
    connection.client().restore_run(comparison.run_id)
    repository = connection.client().get_run(comparison.run_id).info.artifact_uri
    Path(str(repository).removeprefix("file://"), EVIDENCE).unlink()
    with pytest.raises(StoreError, match=EVIDENCE):
        promote(challenger.uri)
    assert champion() == "1"


def test_the_evidence_of_another_version_moves_nothing(
    version: ModelVersion, challenger: ModelVersion, third: ModelVersion
) -> None:
    _, decision = judged(third.uri, version.uri)
    short = decision.evidence_digest[:12]
    connection.client().set_model_version_tag("bot", "2", "llmops.evidence", short)
    with pytest.raises(UsageError, match="models:/bot/2: the evidence is about other bytes"):
        promote(challenger.uri)
    assert champion() == "1"


def test_evidence_against_a_former_champion_is_stale(
    version: ModelVersion, challenger: ModelVersion, third: ModelVersion
) -> None:
    judged(challenger.uri, version.uri)
    judged(third.uri, version.uri)
    promote(challenger.uri)
    with pytest.raises(UsageError, match="the evidence is stale") as caught:
        promote(third.uri)
    assert str(caught.value).startswith(
        "models:/bot/3: the evidence is stale: it compares with models:/bot/1,"
        " but @champion is models:/bot/2 now"
    )
    assert champion() == "2"
    judged(third.uri, challenger.uri)
    promote(third.uri)
    assert champion() == "3"


def test_of_two_promotions_at_once_one_sees_what_the_other_did(
    version: ModelVersion,
    challenger: ModelVersion,
    third: ModelVersion,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both = (challenger.uri, third.uri)
    for uri in both:
        judged(uri, version.uri)
    start = Barrier(2)
    real = registry.set_alias

    def slowly(*arguments: str) -> None:  # the other's check fits in here
        time.sleep(0.5)
        real(*arguments)

    monkeypatch.setattr(registry, "set_alias", slowly)

    def attempt(uri: str) -> str:
        start.wait()
        try:
            return promote(uri)
        except UsageError as error:
            return str(error)

    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(attempt, both))
    (winner,) = (uri for uri in both if uri in said)
    (refusal,) = (one for one in said if one not in both)
    assert f"the evidence is stale: it compares with models:/bot/1, but @champion is {winner}" in (
        refusal
    )
    assert f"models:/bot/{champion()}" == winner


@pytest.fixture
def second(version: ModelVersion, challenger: ModelVersion) -> ModelVersion:
    """Version 2, promoted over version 1."""
    judged(challenger.uri, version.uri)
    promote(challenger.uri)
    return challenger


def test_a_removed_alias_leaves_its_champion_to_be_compared_with(
    second: ModelVersion, third: ModelVersion
) -> None:
    connection.client().delete_registered_model_alias("bot", "champion")
    judged(third.uri, "tiny")
    with pytest.raises(
        UsageError, match=r"is stale: .* but @champion is models:/bot/2 now"
    ) as said:
        promote(third.uri)
    assert "the alias was removed" in str(said.value)
    assert said.value.next_command == (
        "put it back: llmops promote models:/bot/2, then llmops gate RECIPE --candidate models:/bot/3"
    )
    promote(second.uri)
    assert champion() == "2", "the champion of the ledger gets its alias back"
    connection.client().delete_registered_model_alias("bot", "champion")
    judged(third.uri, second.uri)
    promote(third.uri)
    assert champion() == "3"


def test_a_champion_that_was_deleted_is_not_compared_with(
    second: ModelVersion, third: ModelVersion
) -> None:
    judged(third.uri, "tiny")
    connection.client().delete_model_version("bot", "2")
    with pytest.raises(UsageError, match=r"models:/bot/2, .* was deleted; version 1 was") as said:
        promote(third.uri)
    assert str(said.value.next_command).startswith("llmops rollback bot --to 1 --why TEXT")
    connection.client().delete_model_version("bot", "1")
    with pytest.raises(UsageError, match="no earlier champion is left") as said:
        promote(third.uri)
    assert said.value.next_command == "llmops promote models:/bot/3 --why TEXT"
    promote(third.uri, why="all champions were deleted")
    assert champion() == "3"
    assert ledger.entries("bot")[-1].why == "all champions were deleted"


def test_an_alias_moved_by_hand_is_not_overwritten(
    second: ModelVersion, third: ModelVersion
) -> None:
    registry.set_alias("bot", "champion", "1")  # as somebody goes back in MLflow's pages
    judged(third.uri, second.uri)
    with pytest.raises(UsageError, match=r"moved by hand to version 1; .* version 2 is") as said:
        promote(third.uri)
    assert "put it back: llmops promote models:/bot/2" in str(said.value.next_command)
    assert champion() == "1"
    promote(second.uri)
    assert champion() == "2"
    registry.set_alias("bot", "champion", "3")
    promote(third.uri)  # proven against the champion of the ledger: the move is made good
    assert champion() == "3"
    assert [entry.version for entry in ledger.entries("bot")] == ["1", "2", "3"]


def test_another_policy_needs_a_reason(second: ModelVersion, third: ModelVersion) -> None:
    laxer = PASSED.model_copy(update={"min_prompts": 10})
    judged(third.uri, second.uri, laxer)
    with pytest.raises(UsageError, match=r"it was judged by another policy .* instead of") as said:
        promote(third.uri)
    assert "--policy-changed --why TEXT" in str(said.value.next_command)
    with pytest.raises(UsageError, match="a changed policy needs a reason"):
        promote(third.uri, policy_changed=True, why=" ")
    assert champion() == "2"
    promote(third.uri, policy_changed=True, why="a *smaller* team")
    last = ledger.entries("bot")[-1]
    assert (last.policy_changed, last.why) == (True, "a *smaller* team")
    model = registry.model_record("bot")
    assert (model.tags["llmops.policy"], model.tags["llmops.suite"]) == (last.policy, last.suite)
    page = registry.version_record("bot", "3").description
    assert r"**Policy or suite changed** by" in page
    assert r"a \*smaller\* team" in page
    assert "### Lineage" in page


def copied(name: str) -> tuple[str, str]:
    """Two versions of a registered model of another name, the first one champion."""
    for number in (1, 2):
        connection.client().copy_model_version(f"models:/bot/{number}", name)
    registry.set_alias(name, "champion", "1")
    return f"models:/{name}/1", f"models:/{name}/2"


def test_a_kill_before_any_write_is_finished_by_the_same_command(
    version: ModelVersion, challenger: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch)
    number, seen = 0, []
    while True:
        number += 1
        first, second = copied(f"bot{number}")
        judged(second, first)

        def work(uri: str = second) -> str:
            return promote(uri)

        try:
            count = killed_at(monkeypatch, number, work, LEDGER_WRITES)
        except Killed:
            now = registry.version_of_alias(f"bot{number}", "champion")
            broken = half_done([f"bot{number}"])
            seen.append((now, [finding.next_command for finding in broken]))
            assert now == "1" or not broken
            assert all(step.next_command == f"llmops promote {second}" for step in broken)
            promote(second)
        else:
            assert number > count
            break
        assert registry.version_of_alias(f"bot{number}", "champion") == "2"
        assert half_done([f"bot{number}"]) == ()
        kinds = [entry.kind for entry in ledger.entries(f"bot{number}")]
        assert kinds == [Kind.ADOPTED, Kind.PROMOTE]
        names = [e.name for e in connection.client().search_experiments() if "(new" in e.name]
        assert names == [], "what was begun is removed"
    assert any(now == "1" and steps for now, steps in seen), "a kill between ledger and alias"
    assert {now for now, _ in seen} == {"1", "2"}
