"""Verdicts in a real store, on figures made up: what the gate records, without an hour of GPU."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
from report_records import comparison

from llmops.compare import load_suite
from llmops.gate import gate, record
from llmops.gate.evidence.freeze import Case, freeze
from llmops.gate.evidence.signature import SigningKey
from llmops.models.proof.schema import digest_of
from llmops.models.resolve import resolve
from llmops.recipe.schema import Compare, Gate
from llmops.records import Comparison, Decision, ModelFiles
from llmops.store import connection, registry
from llmops.store.tags import EVIDENCE, EVIDENCE_FILE

PASSED = Gate.model_validate(
    {"require": [{"metric": "token_f1", "must": "improve"}], "min_prompts": 50}
)
REJECTED = Gate.model_validate(
    {"require": [{"metric": "one_line", "must": "improve"}], "min_prompts": 50}
)


def compared(candidate: str, baseline: str = "tiny", **changes: object) -> Comparison:
    """A comparison of two registered versions, in a run of its own."""
    with mlflow.start_run() as run, mlflow.start_run(nested=True) as child:
        pass
    return comparison(
        baseline=resolve(baseline),
        candidate=resolve(candidate),
        run_id=run.info.run_id,
        experiment_id=run.info.experiment_id,
        child_run_ids=(child.info.run_id, child.info.run_id),
        **changes,
    )


def judged(
    candidate: str, baseline: str = "tiny", policy: Gate = PASSED
) -> tuple[Comparison, Decision]:
    """A verdict on a question of one prompt, frozen and recorded; the figures are made up."""
    return frozen(question(resolve(candidate), resolve(baseline), policy))


def question(candidate: ModelFiles, baseline: ModelFiles, policy: Gate = PASSED) -> Case:
    """What a gate is to decide on a suite of one prompt, which is no file."""
    suite = load_suite([{"prompt": "Split it.", "expected": "x"}])
    model, _ = registry.parse(candidate.uri)
    return Case(model, "pr-1", baseline, candidate, suite, policy, Compare(), ())


def thawed(
    candidate: str, baseline: str = "tiny", policy: Gate = PASSED
) -> tuple[Comparison, Decision]:
    """A verdict whose policy was not known before the answers."""
    made = compared(candidate, baseline)
    decision = gate(made, policy)
    record(made, decision)
    return made, decision


def case_of(
    candidate: str,
    folder: Path,
    baseline: str = "tiny",
    policy: Gate = PASSED,
    line: str = "pr-1",
    prompts: str = "Split it.",
) -> Case:
    """What a gate is to decide on a suite of one prompt."""
    path = folder / "suite.jsonl"
    path.write_text(json.dumps({"prompt": prompts, "expected": "x"}) + "\n", encoding="utf-8")
    sides = resolve(baseline), resolve(candidate)
    return Case("bot", line, *sides, load_suite(path), policy, Compare(), ())


def frozen(
    case: Case, key: SigningKey | None = None, policy: Gate | None = None
) -> tuple[Comparison, Decision]:
    """A verdict on a question that was frozen before; the figures are made up."""
    made = as_frozen(compared(case.candidate.uri, case.baseline.uri), case)
    decision = gate(made, policy or case.policy)
    record(made, decision, key)
    return made, decision


def as_frozen(made: Comparison, case: Case) -> Comparison:
    """The comparison as one whose question was recorded before."""
    return replace(
        made,
        suite_name=case.suite.name,
        suite_digest=case.suite.digest,
        settings={**case.settings, "scorers": []},
        frozen=freeze(case, made.run_id),
    )


def stored(run_id: str, path: str) -> Path:
    """The file of an artifact in the store, which is a local folder."""
    place = connection.client().get_run(run_id).info.artifact_uri.removeprefix("file://")
    return Path(place) / path


def proven(candidate: ModelFiles, baseline: ModelFiles) -> str:
    """The gate's evidence where a promotion reads it, without report and card: they take a second."""
    client = connection.client()
    run = client.create_run(client.get_experiment_by_name("tests").experiment_id).info
    made = comparison(
        baseline=baseline,
        candidate=candidate,
        run_id=run.run_id,
        experiment_id=run.experiment_id,
        child_run_ids=(run.run_id, run.run_id),
    )
    made = as_frozen(made, question(candidate, baseline))
    decision = gate(made, PASSED)
    digest = decision.evidence_digest
    client.log_text(run.run_id, json.dumps(decision.evidence), EVIDENCE_FILE)
    client.set_tag(run.run_id, EVIDENCE, digest)
    registry.annotate_version(*registry.parse(candidate.uri), {EVIDENCE: digest[:12]})
    return digest


def champion() -> str | None:
    return registry.version_of_alias("bot", "champion")


def forge(run_id: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Rewrites the evidence in its run, as somebody with access to the store could."""
    evidence = mlflow.artifacts.load_dict(f"runs:/{run_id}/{EVIDENCE_FILE}")
    change(evidence)
    connection.client().log_text(run_id, json.dumps(evidence), EVIDENCE_FILE)


def forge_with_tags(run_id: str, evidence: dict[str, Any], version: str = "2") -> None:
    """Rewrites the evidence and every digest of it, as somebody who knows the format could."""
    client = connection.client()
    try:
        whole = digest_of(evidence)
    except ValueError:
        whole = "0" * 64
    client.log_text(run_id, json.dumps({**evidence, "sha256": whole}), EVIDENCE_FILE)
    client.set_tag(run_id, "llmops.evidence", whole)
    client.set_model_version_tag("bot", version, "llmops.evidence", whole[:12])
