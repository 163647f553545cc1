"""Promotion: the alias moves only on evidence that is about these bytes and today's champion."""

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


def promote(uri: str, *, alias: str = "champion") -> str:
    """Move an alias to a version that has earned it.

    Args:
        uri: ``models:/name/version`` or ``models:/name@challenger``.
        alias: The alias to move.

    Returns:
        The promoted version's immutable URI.

    Raises:
        UsageError: No evidence, evidence that did not pass, or stale evidence: the version's
            bytes, or the champion it was compared with, are not what they were.
    """
    check_alias(alias)
    name, version = registry.parse(uri)
    with _locked(name):
        found = versions.get_version(name, version)
        evidence = _evidence(name, version)
        _refuse_stale(evidence, found, alias)
        if not evidence["passed"]:
            raise UsageError(
                f"{found.uri}: its evidence says {evidence['verdict']}, which the policy does not accept",
                next_command="read the report on its page in the model registry",
            )
        registry.set_alias(name, alias, version)
    return found.uri


@contextmanager
def _locked(name: str) -> Iterator[None]:
    """Hold the only promotion of a model on this machine: a second one sees what the first did."""
    lock = FileLock(home.folder("locks") / f"promote-{name}", timeout=LOCK_SECONDS)
    try:
        lock.acquire()
    except Timeout:
        raise UsageError(
            f"{name}: another promotion is still running after {LOCK_SECONDS} s",
            next_command="wait for it, then the same command again",
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


def _refuse_stale(evidence: Mapping[str, Any], found: ModelVersion, alias: str) -> None:
    """Refuse evidence about other bytes, or about another champion than today's."""
    again = f"llmops gate RECIPE --candidate {found.uri}"
    judged = evidence["candidate"]
    if (judged["adapter_digest"], judged["base_digest"]) != (
        found.adapter_digest,
        found.base_digest,
    ):
        raise UsageError(f"{found.uri}: the evidence is about other bytes", next_command=again)
    current = registry.version_of_alias(found.name, alias)
    if current is None:
        return  # there is no champion whose place would be taken
    champion = versions.get_version(found.name, current)
    compared = evidence["baseline"]
    if champion.digest not in (compared["adapter_digest"] or compared["base_digest"], found.digest):
        raise UsageError(
            f"{found.uri}: the evidence is stale: it compares with {compared['uri']},"
            f" but @{alias} is {champion.uri} now",
            next_command=again,
        )
