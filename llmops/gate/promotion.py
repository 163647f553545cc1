"""Promotion: an alias moves only on evidence about these bytes and the current champion."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from llmops.errors import UsageError, rephrased
from llmops.files import home
from llmops.gate.policy import decide
from llmops.models import adapters, bases, versions
from llmops.models.proof.evidence import again, recorded
from llmops.models.proof.schema import EvidenceRecord
from llmops.records import ModelVersion
from llmops.records.names import check_alias
from llmops.store import registry

LOCK_SECONDS = 30
"""Seconds to wait for another promotion of the same model."""


def promote(uri: str, *, alias: str = "champion") -> str:
    """Move an alias to a version whose evidence allows it.

    Args:
        uri: ``models:/NAME/VERSION`` or ``models:/NAME@ALIAS``.
        alias: The alias to move, which the policy of the evidence names.

    Returns:
        The version's immutable URI, ``models:/NAME/VERSION``.

    Raises:
        UsageError: The version has no evidence; the evidence is damaged, contradicts itself, did not
            pass or names another alias; or it is stale: the version or the champion have changed.
        IntegrityError: The version's bytes in the store are not those that it was logged with.
        NotFoundError: No such version or alias, or the alias points to a deleted version.
        StoreError: The MLflow store refuses or does not answer.

    Example:
        from llmops.gate import promote

        promote("models:/bot@challenger", alias="champion")
    """
    check_alias(alias)
    name, version = registry.parse(uri)
    with _locked(name):
        candidate = versions.get_version(name, version)
        evidence = recorded(name, version).content
        _refuse_contradiction(evidence, candidate)
        _refuse_other_alias(evidence, candidate, alias)
        _refuse_stale(evidence, candidate, alias)
        if not evidence.passed:
            raise UsageError(
                f"{candidate.uri}: its verdict is {evidence.verdict}, which the policy does not accept",
                next_command="open the report from the version's page in MLflow",
            )
        _verify_in_store(candidate)
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


def _refuse_contradiction(evidence: EvidenceRecord, candidate: ModelVersion) -> None:
    """Refuse evidence whose outcome does not follow from its own metrics and policy."""
    same = evidence.baseline.identity == evidence.candidate.identity
    with rephrased(lambda message: f"{candidate.uri}: damaged evidence: {message}"):
        found = decide(evidence.metrics, evidence.policy, same_bytes=same, figures=evidence.figures)
    if found != (evidence.checks, evidence.verdict, evidence.passed):
        raise UsageError(
            f"{candidate.uri}: the evidence contradicts itself: it says"
            f" {evidence.verdict}, {_outcome(evidence.passed)}; its metrics and policy say"
            f" {found.verdict}, {_outcome(found.passed)}",
            next_command=again(candidate.uri),
        )


def _outcome(passed: bool) -> str:
    return "passed" if passed else "not passed"


def _refuse_other_alias(evidence: EvidenceRecord, candidate: ModelVersion, alias: str) -> None:
    """Refuse an alias that the policy does not name."""
    allowed = evidence.policy.on_pass
    if alias != allowed:
        raise UsageError(
            f"{candidate.uri}: its policy promotes to @{allowed} (gate.on_pass), not to @{alias}",
            next_command=f"llmops promote {candidate.uri} --alias {allowed}",
        )


def _refuse_stale(evidence: EvidenceRecord, candidate: ModelVersion, alias: str) -> None:
    """Refuse evidence about other bytes, or about another champion than the current one."""
    if evidence.candidate.identity != candidate.digest:
        raise UsageError(
            f"{candidate.uri}: the evidence is about other bytes", next_command=again(candidate.uri)
        )
    current = registry.version_of_alias(candidate.name, alias)
    if current is None:
        return  # no champion would be replaced
    champion = versions.get_version(candidate.name, current)
    if champion.digest not in (evidence.baseline.identity, candidate.digest):
        raise UsageError(
            f"{candidate.uri}: the evidence is stale: it compares with {evidence.baseline.uri},"
            f" but @{alias} is {champion.uri} now",
            next_command=again(candidate.uri),
        )


def _verify_in_store(candidate: ModelVersion) -> None:
    """Read the version's bytes in the store, from which every machine will load it."""
    if candidate.adapter_digest is None:
        bases.verify_in_store(candidate.uri, candidate.base_digest)
    else:
        adapters.verify_in_store(candidate.uri, candidate.adapter_digest)
