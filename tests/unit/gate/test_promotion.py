"""Promotion: only on evidence that is whole, passed, and about these bytes and this champion."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from filelock import FileLock
from judged import PASSED, REJECTED, champion, forge, judged

import llmops
from llmops.errors import LlmopsError, StoreError, UsageError
from llmops.files import home
from llmops.gate import promotion
from llmops.gate.promotion import promote
from llmops.records import ModelVersion
from llmops.store import connection, registry

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
    judged(challenger.uri, "tiny")
    promote(challenger.uri)
    assert champion() == "2"


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
    with pytest.raises(UsageError, match=f"its verdict is {decision.verdict}, which the policy"):
        promote(challenger.uri)
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
    comparison, _ = judged(challenger.uri, version.uri, REJECTED)
    forge(comparison.run_id, change)
    with pytest.raises(UsageError, match=f"of run {comparison.run_id} was changed after"):
        promote(challenger.uri)
    assert champion() == "1"


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

    def slowly(*arguments: str) -> None:  # without the lock, the other's check fits in here
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


def test_a_promotion_that_does_not_end_is_not_waited_for_for_ever(
    version: ModelVersion, challenger: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged(challenger.uri, version.uri)
    monkeypatch.setattr(promotion, "LOCK_SECONDS", 0.1)
    with (
        FileLock(home.folder("locks") / "promote-bot"),
        pytest.raises(UsageError, match="bot: another promotion is still running"),
    ):
        promote(challenger.uri)
    assert champion() == "1"
    promote(challenger.uri)
    assert champion() == "2"
