"""Evidence: the record that binds a verdict to exact bytes, and its place in MLflow."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from typing import Any

import llmops
from llmops.files import digest
from llmops.models.proof.schema import SCHEMA_VERSION
from llmops.recipe.schema import Gate
from llmops.records import Check, Comparison, Decision, Figures, Side, Verdict
from llmops.report import SIDE_BY_SIDE, evidence_card, publish, version_tags
from llmops.report.lineage import with_card
from llmops.store import connection, registry, tags

NONE = Figures()
"""The figures of a policy that asks for nothing but differences."""
OF_A_VERDICT = (tags.EVIDENCE, tags.VERDICT, tags.DELTA, tags.VERSUS)
"""Tags of a version that a new verdict replaces; without the first, the older evidence is void."""


def evidence_of(
    comparison: Comparison,
    policy: Gate,
    checks: tuple[Check, ...],
    verdict: Verdict,
    passed: bool,
    *,
    figures: Figures = NONE,
) -> dict[str, Any]:
    """Build the evidence: digests of both sides, suite and policy, all statistics, the outcome.

    Returns:
        A record of JSON types. Its digest binds the verdict, so no key may change its meaning.
    """
    policy_record = policy.model_dump(mode="json")
    return {
        "schema_version": SCHEMA_VERSION,
        "code_version": llmops.__version__,
        "candidate": _side(comparison.candidate),
        "baseline": _side(comparison.baseline),
        "suite": {"name": comparison.suite_name, "digest": comparison.suite_digest},
        "policy": {**policy_record, "digest": digest.of_record(policy_record)},
        "metrics": [asdict(result) for result in comparison.metrics],
        "figures": _plain(asdict(figures)),
        "method": comparison.method,
        "prompts": {"asked": len(comparison.rows), "available": comparison.available},
        "nll": None if comparison.nll is None else list(comparison.nll),
        "trained_on": [row.example.id for row in comparison.trained],
        "notes": list(comparison.notes),
        "checks": _plain([asdict(check) for check in checks]),
        "verdict": str(verdict),
        "passed": passed,
        "run_id": comparison.run_id,
    }


def _plain(record: Any) -> Any:
    """Return a record of JSON types: lists in place of tuples, as it will be read."""
    return json.loads(json.dumps(record))


def _side(side: Side) -> dict[str, str | None]:
    return {
        "uri": side.uri,
        "adapter_digest": side.adapter_digest,
        "base_digest": side.base.digest if side.base else None,
        "model_id": side.model_id,
    }


def record(comparison: Comparison, decision: Decision) -> None:
    """Write report and evidence to the comparison's run, then verdict and card to the version.

    First the version loses its older evidence, and the tag that names the new evidence is written
    last: a call that is killed or refused in between leaves a version that cannot be promoted.

    Args:
        comparison: A finished comparison whose candidate is a registered version.
        decision: The gate's decision on it.

    Raises:
        UsageError: The candidate is not a registered version.
        StoreError: The MLflow store refuses or does not answer.

    Example:
        from llmops.gate import gate, promote, record

        decision = gate(comparison, recipe.gate)
        record(comparison, decision)
        if decision.passed:
            promote(comparison.candidate.uri)
    """
    name, version = registry.parse(comparison.candidate.uri)
    links = links_of(comparison)
    text = evidence_card(comparison, decision, links)
    registry.remove_version_tags(name, version, OF_A_VERDICT)
    _write_run(comparison, decision, text)
    registry.redescribe(name, version, comparison.candidate.model_id, partial(with_card, card=text))
    registry.annotate_model(name, tags.VERDICT, str(decision.verdict))
    registry.annotate_version(name, version, version_tags(comparison, decision))


def links_of(comparison: Comparison) -> dict[str, str]:
    """Return link text → address of pages in MLflow's UI, relative to the version's page."""
    experiment, run = comparison.experiment_id, comparison.run_id
    before, after = comparison.child_run_ids
    traces = f"{after}/traces?compareToRunUuid={before}"
    rows = traces if comparison.traced else f"{run}/artifacts/{SIDE_BY_SIDE}"
    links = {
        "Report": f"#/experiments/{experiment}/runs/{run}/artifacts/{tags.REPORT_FILE}",
        "Row by row": f"#/experiments/{experiment}/runs/{rows}",
        "Evidence run": f"#/experiments/{experiment}/runs/{run}",
        "Download evidence": f"get-artifact?path={tags.EVIDENCE_FILE}&run_uuid={run}",
    }
    if comparison.candidate.model_id is not None:
        links["Model metrics"] = (
            f"#/experiments/{experiment}/models/{comparison.candidate.model_id}"
        )
    return links


def _write_run(comparison: Comparison, decision: Decision, text: str) -> None:
    content = json.dumps(decision.evidence, indent=2, sort_keys=True)
    publish(comparison.run_id, comparison, decision)
    with connection.store_errors("writing the evidence"):
        client = connection.client()
        client.log_text(comparison.run_id, content, tags.EVIDENCE_FILE)
        client.set_tag(comparison.run_id, tags.NOTE, text)
        client.set_tag(comparison.run_id, tags.VERDICT, str(decision.verdict))
        client.set_tag(comparison.run_id, tags.EVIDENCE, decision.evidence_digest)
