"""Twelve kinds of tampering with a verdict: each is refused, and named."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pytest
from damage import flip
from judged import (
    PASSED,
    REJECTED,
    case_of,
    champion,
    forge,
    forge_with_tags,
    frozen,
    stored,
    thawed,
)

from llmops.errors import IntegrityError, LlmopsError, UsageError
from llmops.files import digest
from llmops.gate import gate
from llmops.gate.evidence.signature import make_keys, signing_key
from llmops.gate.evidence.verify import State, contradiction, verify
from llmops.gate.promotion.promote import promote
from llmops.models.proof import recorded
from llmops.recipe.schema import Gate
from llmops.records import Comparison, ModelVersion
from llmops.store import connection, registry
from llmops.store.tags import EVIDENCE_FILE, FROZEN_FILE

LAX = Gate.model_validate({**PASSED.model_dump(mode="json"), "min_prompts": 2})


@dataclass
class Scene:
    """A champion, a challenger that passed its gate, and a third version that passed, too."""

    folder: Path
    challenger: ModelVersion
    third: ModelVersion
    comparison: Comparison
    evidence: dict[str, Any]
    other: Comparison

    @property
    def run_id(self) -> str:
        return self.comparison.run_id

    def forge(self, **changes: object) -> None:
        """Rewrites keys of the evidence and every digest of it."""
        forge_with_tags(self.run_id, {**self.evidence, **changes})

    def tag(self, name: str, value: str) -> None:
        connection.client().set_tag(self.run_id, name, value)

    def artifact(self, path: str) -> Path:
        return stored(self.run_id, path)


def policy_of(evidence: dict[str, Any], gate: Gate) -> dict[str, Any]:
    content = gate.model_dump(mode="json")
    bound = digest.of_record({"gate": content, "scorers": evidence["scorers"]})
    return {**content, "digest": digest.of_record(content), "bound": bound}


def edited_metric(scene: Scene) -> None:
    forge(scene.run_id, lambda e: e["metrics"][0]["test"].update(low=0.3))


def other_suite(scene: Scene) -> None:
    scene.forge(suite={"name": "suite", "digest": "0" * 64})


def suite_replaced(scene: Scene) -> None:
    scene.artifact("frozen/suite.jsonl").write_text('{"prompt": "Easy.", "expected": "x"}\n')


def adapter_byte(scene: Scene) -> None:
    files = Path(mlflow.artifacts.download_artifacts(scene.challenger.uri))
    flip(files / "adapter" / "adapter_model.safetensors")


def other_policy(scene: Scene) -> None:
    scene.forge(policy=policy_of(scene.evidence, LAX))


def policy_loosened_after_the_run(scene: Scene) -> None:
    changed = {**scene.evidence, "policy": policy_of(scene.evidence, LAX)}
    scene.forge(**changed)
    kept = json.loads(scene.artifact(FROZEN_FILE).read_text())
    scene.artifact(FROZEN_FILE).write_text(json.dumps({**kept, "policy": changed["policy"]}))


def older_champion(scene: Scene) -> None:
    registry.set_alias("bot", "champion", scene.third.version)


def cut_json(scene: Scene) -> None:
    file = scene.artifact(EVIDENCE_FILE)
    file.write_bytes(file.read_bytes()[:500])


def copied_evidence(scene: Scene) -> None:
    theirs = mlflow.artifacts.load_text(f"runs:/{scene.other.run_id}/{EVIDENCE_FILE}")
    scene.artifact(EVIDENCE_FILE).write_text(theirs)


def copied_tag(scene: Scene) -> None:
    theirs = connection.client().get_run(scene.other.run_id).data.tags["llmops.evidence"]
    registry.annotate_version("bot", "2", {"llmops.evidence": theirs[:12]})


def forged_tag(scene: Scene) -> None:
    scene.tag("llmops.push", "1")


def forged_freeze(scene: Scene) -> None:
    scene.tag("llmops.frozen", "0" * 64)


def freeze_removed(scene: Scene) -> None:
    for tag in ("frozen", "question", "line", "push"):
        connection.client().delete_tag(scene.run_id, f"llmops.{tag}")


def downgraded(scene: Scene) -> None:
    scene.forge(schema_version=1)


def missing_run(scene: Scene) -> None:
    connection.client().delete_run(scene.run_id)


Refused = dict[Callable[[Scene], None], tuple[type[LlmopsError] | None, str, str, str]]
TAMPERINGS: Refused = {
    # how: what promote raises and says, the part that `evidence verify` names, and what it says
    edited_metric: (IntegrityError, r"TAMPERED: report/evidence\.json", "evidence", "TAMPERED"),
    other_suite: (IntegrityError, "TAMPERED: suite of run", "evidence", "TAMPERED: suite"),
    suite_replaced: (None, "", "suite", "has another digest"),
    adapter_byte: (IntegrityError, "adapter digest .* differs", "candidate", "differs"),
    other_policy: (IntegrityError, "TAMPERED: policy of run", "evidence", "TAMPERED: policy"),
    policy_loosened_after_the_run: (
        IntegrityError,
        r"TAMPERED: frozen/frozen\.json or tag llmops\.frozen",
        "evidence",
        "TAMPERED: frozen/frozen.json",
    ),
    older_champion: (UsageError, "stale: it compares with models:/bot/1", "", ""),
    cut_json: (IntegrityError, r"TAMPERED: report/evidence\.json", "evidence", "TAMPERED"),
    copied_evidence: (IntegrityError, "TAMPERED: .*candidate", "evidence", "TAMPERED"),
    copied_tag: (UsageError, "about other bytes", "candidate", "about models:/bot/3"),
    forged_tag: (IntegrityError, r"TAMPERED: tag llmops\.push", "evidence", "TAMPERED: tag"),
    forged_freeze: (IntegrityError, "tag llmops.frozen", "evidence", "TAMPERED"),
    freeze_removed: (IntegrityError, r"TAMPERED: tag llmops\.question", "evidence", "TAMPERED"),
    downgraded: (IntegrityError, "TAMPERED: schema_version", "evidence", "TAMPERED: schema"),
    missing_run: (UsageError, "has no evidence", "evidence", "has no evidence"),
}


@pytest.fixture
def scene(
    version: ModelVersion, challenger: ModelVersion, third: ModelVersion, tmp_path: Path
) -> Scene:
    other, _ = frozen(case_of(third.uri, tmp_path, version.uri, line="pr-2"))
    frozen(case_of(challenger.uri, tmp_path, version.uri, prompts="Another."))
    made, decision = frozen(case_of(challenger.uri, tmp_path, version.uri))
    assert all(finding.state is not State.TAMPERED for finding in verify(challenger.uri))
    return Scene(tmp_path, challenger, third, made, dict(decision.evidence), other)


@pytest.mark.parametrize("tamper", TAMPERINGS, ids=lambda how: how.__name__)
def test_a_tampering_is_refused_and_named(scene: Scene, tamper: Callable[[Scene], None]) -> None:
    error, says, part, names = TAMPERINGS[tamper]
    tamper(scene)
    before = champion()
    findings = {finding.part: finding for finding in verify(scene.challenger.uri) if finding.fatal}
    if part:
        assert names in findings[part].says
        assert list(findings) == [part], "and nothing else"
    else:
        assert findings == {}
    if error is None:
        return
    with pytest.raises(error, match=says) as caught:
        promote(scene.challenger.uri)
    assert caught.value.exit_code == (1 if error is IntegrityError else 2)
    assert champion() == before


def test_an_edited_description_is_shown_and_decides_nothing(scene: Scene) -> None:
    connection.client().update_model_version("bot", "2", description="REGRESSED: do not use.")
    edited = [one for one in verify(scene.challenger.uri) if one.state is State.EDITED]
    assert [(one.part, one.fatal) for one in edited] == [("description", False)]
    promote(scene.challenger.uri)
    assert champion() == "2"


def test_a_wrong_key_is_refused_and_so_is_a_missing_signature(
    version: ModelVersion, challenger: ModelVersion, tmp_path: Path
) -> None:
    keys = {name: make_keys(tmp_path / name) for name in ("ours", "theirs")}
    case = case_of(challenger.uri, tmp_path, version.uri)

    def signature(key: Path | None) -> tuple[str, bool]:
        (found,) = (one for one in verify(challenger.uri, key) if one.part == "signature")
        return str(found.state), found.fatal

    frozen(case)
    assert signature(None) == ("absent", False)
    assert signature(keys["ours"]) == ("absent", True)
    made, decision = frozen(case, signing_key(tmp_path / "ours", {}))
    assert signature(None) == ("absent", False)
    assert signature(keys["ours"]) == ("ok", False)
    assert signature(keys["theirs"]) == ("TAMPERED", True)
    # Whoever has every right in the store, but not the key, can forge everything else.
    test = {**decision.evidence["metrics"][0]["test"], "difference": 0.9}  # type: ignore[index]
    metrics = [{**decision.evidence["metrics"][0], "test": test}]  # type: ignore[index]
    rest = list(decision.evidence["metrics"])[1:]  # type: ignore[call-overload]
    forge_with_tags(made.run_id, {**decision.evidence, "metrics": [*metrics, *rest]})
    assert signature(keys["ours"]) == ("TAMPERED", True)
    assert [one.part for one in verify(challenger.uri) if one.fatal] == []


def test_every_part_is_read_again_from_the_store(scene: Scene) -> None:
    found = {finding.part: finding.state for finding in verify("models:/bot@challenger")}
    parts = ("evidence", "frozen", "candidate", "base", "baseline", "suite", "policy", "verdict")
    assert found == {**dict.fromkeys(parts, State.OK), "description": "ok", "signature": "absent"}


def test_evidence_without_a_freeze_is_checked_as_far_as_it_goes(
    version: ModelVersion, challenger: ModelVersion
) -> None:
    thawed(challenger.uri, version.uri)
    found = {finding.part: finding for finding in verify(challenger.uri)}
    assert (found["frozen"].state, found["suite"].state) == (State.ABSENT, State.ABSENT)
    assert not any(finding.fatal for finding in found.values())


def test_evidence_that_was_removed_is_absent(scene: Scene) -> None:
    stored(scene.run_id, EVIDENCE_FILE).unlink()
    (found,) = verify(scene.challenger.uri)
    assert (found.part, found.state, found.fatal) == ("evidence", State.ABSENT, True)


def test_a_baseline_that_is_gone_is_absent_and_a_damaged_one_is_tampered(scene: Scene) -> None:
    files = Path(mlflow.artifacts.download_artifacts("models:/bot/1"))
    flip(files / "adapter" / "adapter_model.safetensors")
    (bad,) = (one for one in verify(scene.challenger.uri) if one.fatal)
    assert (bad.part, bad.state) == ("baseline", State.TAMPERED)
    connection.client().delete_model_version("bot", "1")
    found = {finding.part: finding for finding in verify(scene.challenger.uri)}
    assert (found["baseline"].state, found["baseline"].fatal) == (State.ABSENT, False)


def test_a_policy_that_is_not_the_frozen_one_decides_nothing(scene: Scene) -> None:
    with pytest.raises(IntegrityError, match="TAMPERED: policy: not as frozen") as caught:
        gate(scene.comparison, LAX)
    assert caught.value.exit_code == 1


def test_a_contradiction_is_named(scene: Scene) -> None:
    content = recorded("bot", "2").content
    assert contradiction(content) is None
    other = content.model_copy(update={"passed": False})
    assert contradiction(other) == (
        "it says IMPROVED, not passed; its metrics and policy say IMPROVED, passed"
    )
    lost = content.model_copy(update={"policy": content.policy.model_copy(update=dict(REJECTED))})
    assert contradiction(lost) is not None
