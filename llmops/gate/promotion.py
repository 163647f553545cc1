"""Promotion: the alias moves only on evidence that is about these bytes and today's champion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from filelock import FileLock

from llmops import digest, home, registry
from llmops.errors import UsageError
from llmops.gate.evidence import EVIDENCE_FILE, EVIDENCE_TAG

LOCK_SECONDS = 30


def promote(uri: str, *, alias: str = "champion") -> str:
    """Moves an alias to a version that has earned it.

    Args:
        uri: ``models:/name/version`` or ``models:/name@challenger``.
        alias: The alias to move.

    Returns:
        The promoted version's immutable URI.

    Raises:
        UsageError: No evidence, evidence that did not pass, or stale evidence: the version's
            bytes, or the champion it was compared with, are not what they were.
    """
    name, version = registry.parse(uri)
    with FileLock(home.folder("deployments").parent / f"promote-{name}.lock", timeout=LOCK_SECONDS):
        found = registry.get_version(name, version)
        evidence = _evidence(name, version)
        _refuse_stale(evidence, found.uri, found.adapter_digest, name, alias)
        if not evidence["passed"]:
            raise UsageError(
                f"{found.uri}: its evidence says {evidence['verdict']}, which the policy does not accept",
                next_command="read the report on its page in the model registry",
            )
        registry.set_alias(name, alias, version)
    return found.uri


def _evidence(name: str, version: str) -> Mapping[str, Any]:
    """The evidence of a version, its digest checked."""
    short = registry.version_tag(name, version, EVIDENCE_TAG)
    run_id = registry.run_with_tag(EVIDENCE_TAG, f"{short}%") if short else None
    if short is None or run_id is None:
        raise UsageError(
            f"models:/{name}/{version}: has no evidence",
            next_command=f"llmops gate RECIPE --candidate models:/{name}/{version}",
        )
    evidence = registry.read_json(run_id, EVIDENCE_FILE)
    if not digest.of_record(evidence).startswith(short):
        raise UsageError(
            f"models:/{name}/{version}: {EVIDENCE_FILE} of run {run_id} was changed after the verdict"
        )
    return evidence


def _refuse_stale(
    evidence: Mapping[str, Any], uri: str, adapter_digest: str, name: str, alias: str
) -> None:
    again = f"llmops gate RECIPE --candidate {uri}"
    if evidence["candidate"]["adapter_digest"] != adapter_digest:
        raise UsageError(f"{uri}: the evidence is about other adapter bytes", next_command=again)
    current = registry.version_of_alias(name, alias)
    if current is None:
        return  # there is no champion whose place would be taken
    champion = registry.get_version(name, current)
    compared = evidence["baseline"]
    if (
        compared["adapter_digest"] != champion.adapter_digest
        and champion.adapter_digest != adapter_digest
    ):
        raise UsageError(
            f"{uri}: the evidence is stale: it compares with {compared['uri']}, but {alias} is {champion.uri} now",
            next_command=again,
        )
