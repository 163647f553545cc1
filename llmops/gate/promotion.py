"""Promotion: an alias moves only on evidence about these bytes and the current champion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from filelock import FileLock, Timeout

from llmops.errors import UsageError
from llmops.files import digest, home
from llmops.models import versions
from llmops.records import ModelVersion
from llmops.records.names import check_alias
from llmops.store import artifacts, registry, runs
from llmops.store.tags import EVIDENCE, EVIDENCE_FILE

LOCK_SECONDS = 30
"""Seconds to wait for another promotion of the same model."""


def promote(uri: str, *, alias: str = "champion") -> str:
    """Move an alias to a version whose evidence allows it.

    Args:
        uri: ``models:/NAME/VERSION`` or ``models:/NAME@ALIAS``.
        alias: The alias to move.

    Returns:
        The version's immutable URI, ``models:/NAME/VERSION``.

    Raises:
        UsageError: The version has no evidence, the evidence did not pass, or it is stale: the
            version's bytes or the champion have changed since.
        NotFoundError: No such version or alias.
        StoreError: The MLflow store refuses or does not answer.

    Example:
        from llmops.gate import promote

        promote("models:/bot@challenger", alias="champion")
    """
    check_alias(alias)
    name, version = registry.parse(uri)
    with _locked(name):
        candidate = versions.get_version(name, version)
        evidence = _evidence(name, version)
        _refuse_stale(evidence, candidate, alias)
        if not evidence["passed"]:
            raise UsageError(
                f"{candidate.uri}: its verdict is {evidence['verdict']}, which the policy does not accept",
                next_command="open the report from the version's page in MLflow",
            )
        registry.set_alias(name, alias, version)
    return candidate.uri


@contextmanager
def _locked(name: str) -> Iterator[None]:
    """Allow a single promotion of a model at a time on this machine."""
    lock = FileLock(home.folder("locks") / f"promote-{name}", timeout=LOCK_SECONDS)
    try:
        lock.acquire()
    except Timeout:
        raise UsageError(
            f"{name}: another promotion is still running after {LOCK_SECONDS} s",
            next_command="wait until it has finished, then rerun",
        ) from None
    try:
        yield
    finally:
        lock.release()


def _evidence(name: str, version: str) -> Mapping[str, Any]:
    """Read the evidence of a version and check its digest."""
    short = registry.version_tag(name, version, EVIDENCE)
    run_id = runs.run_with_tag(EVIDENCE, f"{short}%") if short else None
    if short is None or run_id is None:
        raise UsageError(
            f"models:/{name}/{version}: has no evidence",
            next_command=f"llmops gate RECIPE --candidate models:/{name}/{version}",
        )
    evidence = artifacts.read_json(run_id, EVIDENCE_FILE)
    if not digest.of_record(evidence).startswith(short):
        raise UsageError(
            f"models:/{name}/{version}: {EVIDENCE_FILE} of run {run_id} was changed after the verdict"
        )
    return evidence


def _refuse_stale(evidence: Mapping[str, Any], candidate: ModelVersion, alias: str) -> None:
    """Refuse evidence about other bytes, or about another champion than the current one."""
    again = f"llmops gate RECIPE --candidate {candidate.uri}"
    judged = evidence["candidate"]
    if (judged["adapter_digest"], judged["base_digest"]) != (
        candidate.adapter_digest,
        candidate.base_digest,
    ):
        raise UsageError(f"{candidate.uri}: the evidence is about other bytes", next_command=again)
    current = registry.version_of_alias(candidate.name, alias)
    if current is None:
        return  # no champion would be replaced
    champion = versions.get_version(candidate.name, current)
    compared = evidence["baseline"]
    expected = compared["adapter_digest"] or compared["base_digest"]
    if champion.digest not in (expected, candidate.digest):
        raise UsageError(
            f"{candidate.uri}: the evidence is stale: it compares with {compared['uri']},"
            f" but @{alias} is {champion.uri} now",
            next_command=again,
        )
