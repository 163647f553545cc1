"""Evidence: the record that binds a verdict to exact bytes, and its place in MLflow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import llmops
from llmops.errors import IntegrityError
from llmops.files import digest
from llmops.gate.evidence.freeze import policy_record, side_record, tool_versions
from llmops.gate.evidence.signature import SigningKey
from llmops.models.proof.frozen import KEYS, TAMPERED
from llmops.models.proof.schema import SCHEMA_VERSION, digest_of
from llmops.recipe.schema import Gate
from llmops.records import Check, Comparison, Decision, Figures, Verdict
from llmops.report import SIDE_BY_SIDE, evidence_card, publish, version_tags
from llmops.report.lineage import with_card
from llmops.store import connection, registry, tags

NONE = Figures()
"""The figures of a policy that asks for nothing but differences."""
OF_A_VERDICT = (tags.EVIDENCE, tags.VERDICT, tags.DELTA, tags.VERSUS, *tags.EARLIER.values())
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

    Raises:
        IntegrityError: Policy, suite or sides are not those that were frozen before the comparison.
    """
    settings = dict(comparison.settings)
    scorers: Any = settings.pop("scorers", [])
    evidence = {
        "schema_version": SCHEMA_VERSION,
        "code_version": llmops.__version__,
        **_frozen(comparison),
        "candidate": side_record(comparison.candidate),
        "baseline": side_record(comparison.baseline),
        "suite": {"name": comparison.suite_name, "digest": comparison.suite_digest},
        "policy": policy_record(policy, scorers),
        "scorers": [dict(scorer) for scorer in scorers],
        "settings": settings,
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
    _refuse_thawed(comparison, evidence)
    return evidence


def _plain(record: Any) -> Any:
    """Return a record of JSON types: lists in place of tuples, as it will be read."""
    return json.loads(json.dumps(record))


def sealed(evidence: dict[str, Any]) -> dict[str, Any]:
    """Return evidence with its own digest, under the key ``sha256``."""
    return {**evidence, "sha256": digest_of(evidence)}


def _frozen(comparison: Comparison) -> dict[str, Any]:
    """Return question, line, push and level, and the versions of data, code and tools."""
    found = comparison.frozen
    if found is None:
        nothing = dict.fromkeys(("question", "line", "push", "alpha", "next_alpha", "data", "code"))
        return {**nothing, "tools": tool_versions()}
    return {
        "question": found.content["question"],
        "line": found.budget.line,
        "push": found.budget.push,
        "alpha": found.budget.alpha_k,
        "next_alpha": found.budget.next_alpha,
        **found.about,
    }


def _refuse_thawed(comparison: Comparison, evidence: Mapping[str, Any]) -> None:
    """Refuse evidence about something else than what was frozen."""
    if comparison.frozen is None:
        return
    frozen = comparison.frozen.content
    if changed := [key for key in KEYS if evidence[key] != frozen[key]]:
        raise IntegrityError(
            f"{comparison.candidate.uri}: {TAMPERED}: {', '.join(changed)}: not as frozen before the"
            " first answer",
            next_command="judge by the policy that was frozen, or run the gate again with the new one",
        )


def record(comparison: Comparison, decision: Decision, key: SigningKey | None = None) -> None:
    """Write report and evidence to the comparison's run, then verdict and card to the version.

    First the version loses its older evidence, and the tag that names the new evidence is written
    last: a call that is killed or refused in between leaves a version that cannot be promoted.

    Args:
        comparison: A finished comparison whose candidate is a registered version.
        decision: The gate's decision on it.
        key: Key that signs the evidence; ``None`` for no signature.

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
    shown = version_tags(comparison, decision)
    registry.remove_version_tags(name, version, OF_A_VERDICT)
    _write_run(comparison, decision, text, shown, key)
    show_on_version(name, version, comparison.candidate.model_id, text, shown)


def show_on_version(
    name: str, version: str, model_id: str | None, card: str, shown: Mapping[str, str]
) -> None:
    """Write a verdict to a version: the card first, and the tag that names the evidence last.

    Args:
        name: Registered model.
        version: Its version, which has no tag of a verdict.
        model_id: Its logged model; ``None`` if there is none.
        card: The evidence card.
        shown: Tags of the verdict, see ``report.version_tags``.

    Raises:
        StoreError: The MLflow store refuses or does not answer.
    """
    registry.redescribe(name, version, model_id, partial(with_card, card=card))
    registry.annotate_model(name, tags.VERDICT, shown[tags.VERDICT])
    registry.annotate_version(name, version, shown)


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


def _write_run(
    comparison: Comparison,
    decision: Decision,
    card: str,
    shown: Mapping[str, str],
    key: SigningKey | None,
) -> None:
    run_id = comparison.run_id
    publish(run_id, comparison, decision)
    text = digest.canonical(decision.evidence)
    with connection.store_errors("writing the evidence"):
        client = connection.client()
        client.log_text(run_id, text, tags.EVIDENCE_FILE)
        if key is not None:
            client.log_text(run_id, key.sign(text), tags.SIGNATURE_FILE)
        client.set_tag(run_id, tags.NOTE, card)
        for name, value in shown.items():
            if name != tags.EVIDENCE:
                client.set_tag(run_id, name, value)
        client.set_tag(run_id, tags.EVIDENCE, decision.evidence_digest)
