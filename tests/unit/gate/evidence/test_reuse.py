"""A question that was decided is not asked again, and the decision holds for the same bytes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import mlflow
import pytest
from judged import PASSED, REJECTED, case_of, champion, forge, frozen
from trained import another_adapter
from versions import log_version

from llmops.errors import IntegrityError
from llmops.gate.evidence import reuse
from llmops.gate.evidence.freeze import Case, freeze
from llmops.gate.evidence.signature import make_keys, signing_key
from llmops.gate.evidence.verify import verify
from llmops.gate.promotion.promote import promote
from llmops.models.resolve import resolve
from llmops.records import ModelVersion
from llmops.store import connection


@pytest.fixture
def case(version: ModelVersion, challenger: ModelVersion, tmp_path: Path) -> Case:
    return case_of(challenger.uri, tmp_path, version.uri)


def test_a_question_is_undecided_until_its_evidence_is_written(case: Case) -> None:
    assert reuse.decided(case) is None
    with mlflow.start_run() as run:
        freeze(case, run.info.run_id)
    assert reuse.decided(case) is None
    made, decision = frozen(case)
    found = reuse.decided(case)
    assert found is not None
    assert found.reused
    assert reuse.run_of(found) == made.run_id
    assert reuse.experiment_of(found) == made.experiment_id
    for name in ("verdict", "passed", "checks", "sentence", "budget", "evidence_digest"):
        assert getattr(found, name) == getattr(decision, name)
    assert reuse.decided(replace(case, line="pr-9")) is not None, "whichever line asks"
    assert reuse.decided(replace(case, policy=REJECTED)) is None


def test_what_was_printed_is_printed_again(case: Case) -> None:
    from llmops.report import comparison_table, to_json

    made, decision = frozen(case)
    found = reuse.decided(case)
    assert found is not None
    assert reuse.shown(found) == comparison_table(made, decision)
    assert "Budget: push 1 of line pr-1: judged at alpha 0.03; the next gets 0.0076" in (
        reuse.shown(found)
    )
    assert reuse.result(found)["metrics"] == to_json(made, decision)["metrics"]


def test_the_newest_decision_counts_and_a_deleted_one_does_not(case: Case) -> None:
    first, _ = frozen(case)
    second, _ = frozen(case)
    found = reuse.decided(case)
    assert found is not None
    assert reuse.run_of(found) == second.run_id
    connection.client().delete_run(second.run_id)
    found = reuse.decided(case)
    assert found is not None
    assert reuse.run_of(found) == first.run_id


def test_a_decision_that_was_changed_is_not_reused(case: Case) -> None:
    made, _ = frozen(case, policy=case.policy)
    forge(made.run_id, lambda e: e.update(passed=False))
    with pytest.raises(IntegrityError, match=r"TAMPERED: .* decided the same question") as caught:
        reuse.decided(case)
    assert "--fresh" in str(caught.value.next_command)


def test_a_new_version_of_the_same_bytes_bears_the_decision_and_is_promoted(
    case: Case, tiny_model: Path, tmp_path: Path
) -> None:
    frozen(case)
    with mlflow.start_run():
        same = log_version(another_adapter(tiny_model, tmp_path / "x", seed=5), "tiny", "bot")
    again = replace(case, candidate=resolve(same.uri))
    found = reuse.decided(again)
    assert found is not None
    reuse.bear(again, found)
    old, new = (connection.client().get_model_version("bot", one) for one in ("2", same.version))
    for tag in ("verdict", "delta", "versus", "llmops.evidence"):
        assert new.tags[tag] == old.tags[tag]
    assert found.sentence in new.description
    promote(same.uri)
    assert champion() == same.version
    assert not any(finding.fatal for finding in verify(same.uri))


def test_an_older_decision_replaces_a_newer_one_on_another_question(case: Case) -> None:
    frozen(case)
    frozen(replace(case, policy=REJECTED))
    assert connection.client().get_model_version("bot", "2").tags["verdict"] != "IMPROVED"
    found = reuse.decided(case)
    assert found is not None
    reuse.bear(case, found)
    tags = connection.client().get_model_version("bot", "2").tags
    assert tags["verdict"] == "IMPROVED"
    assert found.evidence_digest.startswith(tags["llmops.evidence"])
    assert case.policy == PASSED


def test_a_signature_that_was_missing_is_added(case: Case, tmp_path: Path) -> None:
    frozen(case)
    public = make_keys(tmp_path / "key")
    found = reuse.decided(case)
    assert found is not None
    reuse.bear(case, found, signing_key(tmp_path / "key", {}))
    (signed,) = (one for one in verify(case.candidate.uri, public) if one.part == "signature")
    assert str(signed.state) == "ok"
