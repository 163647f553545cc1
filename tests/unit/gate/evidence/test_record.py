"""Evidence: what it holds, where it is found, and that it is bound to every byte."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest
from judged import PASSED, REJECTED, compared, judged
from report_records import TRAJECTORY, row

from llmops.errors import UsageError
from llmops.files import digest
from llmops.gate import gate, record
from llmops.records import ModelVersion
from llmops.store import connection

KEYS = {
    *("schema_version", "code_version", "candidate", "baseline", "suite", "policy", "metrics"),
    "figures",
    *("method", "prompts", "nll", "trained_on", "notes", "checks", "verdict", "passed", "run_id"),
    *("sentence", "scorers", "settings", "tools", "sha256"),
    *("question", "line", "push", "alpha", "next_alpha", "data", "code"),
}
METRIC_KEYS = {"metric", "baseline", "candidate", "test", "margin"}


def test_everything_of_a_verdict_is_in_its_run(version: ModelVersion) -> None:
    comparison, decision = judged(version.uri)
    client = connection.client()
    run = client.get_run(comparison.run_id)
    assert run.data.tags["verdict"] == "IMPROVED"
    assert run.data.tags["llmops.evidence"] == decision.evidence_digest
    assert decision.sentence in run.data.tags["mlflow.note.content"]
    files = {entry.path for entry in client.list_artifacts(comparison.run_id, "report")}
    shown = {
        "report/report.html",
        "report/forest.svg",
        "report/table.txt",
        "report/result.json",
        "report/summary.md",
    }
    assert files == {"report/evidence.json", *shown}
    written = mlflow.artifacts.load_dict(f"runs:/{comparison.run_id}/report/evidence.json")
    assert written.pop("sha256") == digest.of_record(written) == decision.evidence_digest
    page = mlflow.artifacts.load_text(f"runs:/{comparison.run_id}/report/report.html")
    assert decision.evidence_digest in page


def test_the_version_bears_verdict_and_card_and_keeps_its_lineage(version: ModelVersion) -> None:
    client = connection.client()
    comparison, decision = judged(version.uri)
    found = client.get_model_version("bot", version.version)
    assert found.tags["verdict"] == "IMPROVED"
    assert found.tags["versus"] == "tiny"
    assert decision.evidence_digest.startswith(found.tags["llmops.evidence"])
    assert decision.sentence in found.description
    assert "### Lineage" in found.description
    assert comparison.run_id in found.description
    assert client.get_registered_model("bot").tags["verdict"] == "IMPROVED"
    model = client.get_logged_model(version.model_id)
    assert decision.sentence in model.tags["mlflow.note.content"]


def test_a_second_verdict_replaces_the_first(version: ModelVersion) -> None:
    judged(version.uri)
    _, second = judged(version.uri, policy=REJECTED)
    found = connection.client().get_model_version("bot", version.version)
    assert found.tags["verdict"] == str(second.verdict) != "IMPROVED"
    assert second.evidence_digest.startswith(found.tags["llmops.evidence"])
    assert found.description.count("Evidence SHA-256") == 1


def test_a_new_verdict_removes_the_tags_under_their_earlier_names(version: ModelVersion) -> None:
    client = connection.client()
    for name in ("llmops.verdict", "llmops.delta", "llmops.versus"):
        client.set_model_version_tag("bot", version.version, name, "earlier")
    client.set_registered_model_tag("bot", "llmops.verdict", "earlier")
    judged(version.uri)
    assert "earlier" not in client.get_model_version("bot", version.version).tags.values()
    assert "earlier" not in client.get_registered_model("bot").tags.values()


def test_the_record_has_these_keys_and_no_others(version: ModelVersion) -> None:
    made = compared(version.uri, trained=(row(99, "a", "b", (0.0, 1.0)),))
    evidence = gate(made, PASSED).evidence
    assert set(evidence) == KEYS
    assert all(set(metric) == METRIC_KEYS for metric in evidence["metrics"])
    assert evidence["candidate"] == {
        "uri": version.uri,
        "adapter_digest": version.adapter_digest,
        "base_digest": version.base_digest,
        "model_id": version.model_id,
    }
    assert evidence["baseline"]["adapter_digest"] is None
    assert evidence["trained_on"] == ["q99"]
    assert evidence["prompts"] == {"asked": 12, "available": 120}
    assert json.loads(json.dumps(evidence)) == evidence, "JSON types only"


def test_the_digest_is_of_all_that_was_measured_and_of_nothing_that_is_drawn(
    version: ModelVersion,
) -> None:
    made = compared(version.uri)
    first = gate(made, PASSED).evidence_digest
    assert gate(replace(made, trajectories=()), PASSED).evidence_digest == first
    wider = replace(TRAJECTORY, reported_is_wider=True)
    assert gate(replace(made, trajectories=(wider,)), PASSED).evidence_digest == first
    changed = [
        replace(made, notes=(*made.notes, "one more")),
        replace(made, nll=None),
        replace(made, method="hybrid"),
        replace(made, available=121),
        replace(made, rows=made.rows[1:]),
        replace(made, run_id="0" * 32),
        replace(made, suite_name="another"),
        replace(made, baseline=made.candidate),
        replace(made, metrics=made.metrics[:3]),
    ]
    digests = {gate(one, PASSED).evidence_digest for one in changed}
    assert len(digests | {first}) == len(changed) + 1


def test_a_candidate_that_is_no_registered_version_gets_no_verdict(
    version: ModelVersion, tmp_path: Path
) -> None:
    made = compared(version.uri)
    logged = replace(made, candidate=replace(made.candidate, uri=f"models:/{version.model_id}"))
    with pytest.raises(UsageError, match="a version or an alias is missing"):
        record(logged, gate(logged, PASSED))
    assert connection.client().list_artifacts(made.run_id) == []
