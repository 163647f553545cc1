"""Everything that the evidence of a version says, checked again from the store alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from llmops.errors import IntegrityError, LlmopsError, NotFoundError, StoreError, UsageError
from llmops.files import digest
from llmops.files.staging import staging
from llmops.gate.evidence.signature import is_valid
from llmops.gate.policy import decide
from llmops.models import adapters, bases, versions
from llmops.models.proof.evidence import Recorded, recorded
from llmops.models.proof.schema import EvidenceRecord, Side
from llmops.store import artifacts, registry, runs, tags

IN_MEMORY = "frozen/suite.examples.json"
"""A suite that was no file: its digest is that of the record."""


class State(StrEnum):
    """What a check found."""

    OK = "ok"
    """As recorded."""
    TAMPERED = "TAMPERED"
    """Not as recorded."""
    ABSENT = "absent"
    """There is nothing to check, or nothing to check it with."""
    EDITED = "edited"
    """A text for readers differs, on which nothing is decided."""


@dataclass(frozen=True)
class Finding:
    """One check of the evidence.

    Attributes:
        part: What was checked, such as ``suite``.
        state: What was found.
        says: The details.
        fatal: Whether the evidence proves nothing because of it.
    """

    part: str
    state: State
    says: str
    fatal: bool = False


def verify(uri: str, public_key: Path | None = None) -> tuple[Finding, ...]:
    """Check every digest of a version's evidence against the store; nothing is generated.

    Args:
        uri: ``models:/NAME/VERSION`` or ``models:/NAME@ALIAS``.
        public_key: PEM file of an Ed25519 key by which the evidence must be signed; ``None`` checks no
            signature.

    Returns:
        A finding for each part. If the evidence itself is absent or was changed, only that one: what
        it says cannot be relied upon.

    Raises:
        UsageError: Another kind of URI, or no such key.
        NotFoundError: No such version.
        StoreError: The store does not answer.

    Example:
        from llmops.gate.evidence.verify import verify

        for finding in verify("models:/bot@champion"):
            print(finding.state, finding.part, finding.says)
    """
    name, version = registry.parse(uri)
    registry.version_record(name, version)
    try:
        found = recorded(name, version)
    except StoreError as error:
        if not _was_removed(name, version):
            raise
        return (Finding("evidence", State.ABSENT, error.message, fatal=True),)
    except LlmopsError as error:
        none = "has no evidence" in error.message
        state = State.ABSENT if none else State.TAMPERED
        return (Finding("evidence", state, error.message, fatal=True),)
    return tuple(_findings(name, version, found, public_key))


def _was_removed(name: str, version: str) -> bool:
    """Return whether the run that a version names is there, and its evidence is not."""
    run_id = runs.run_of_evidence(registry.version_tag(name, version, tags.EVIDENCE) or "")
    folder = tags.EVIDENCE_FILE.partition("/")[0]
    return run_id is not None and tags.EVIDENCE_FILE not in artifacts.files_in(run_id, folder)


def contradiction(evidence: EvidenceRecord) -> str | None:
    """Return how the outcome differs from what metrics and policy of the evidence say.

    Raises:
        UsageError: The policy names a metric that the evidence lacks.
    """
    same = evidence.baseline.identity == evidence.candidate.identity
    found = decide(evidence.metrics, evidence.policy, same_bytes=same, figures=evidence.figures)
    if found == (evidence.checks, evidence.verdict, evidence.passed):
        return None
    return (
        f"it says {evidence.verdict}, {_outcome(evidence.passed)}; its metrics and policy say"
        f" {found.verdict}, {_outcome(found.passed)}"
    )


def _outcome(passed: bool) -> str:
    return "passed" if passed else "not passed"


def _findings(
    name: str, version: str, found: Recorded, public_key: Path | None
) -> Iterator[Finding]:
    evidence, run_id = found.content, found.run_id
    yield Finding("evidence", State.OK, f"SHA-256 {found.digest} of run {run_id}")
    yield _frozen(evidence)
    yield _candidate(name, version, evidence)
    yield _bytes("base", evidence.candidate, of_base=True)
    yield _bytes("baseline", evidence.baseline)
    yield _suite(evidence, run_id)
    bound = f", with scorers {evidence.policy.bound[:12]}…" if evidence.policy.bound else ""
    yield Finding("policy", State.OK, f"SHA-256 {evidence.policy.digest[:12]}…{bound}")
    yield _verdict(evidence)
    yield _description(name, version, run_id)
    yield _signature(found, public_key)


def _frozen(evidence: EvidenceRecord) -> Finding:
    """Report the freeze; evidence that differs from it has been refused already."""
    if evidence.push is None:
        return Finding("frozen", State.ABSENT, "nothing was recorded before the first answer")
    says = (
        f"push {evidence.push} of line {evidence.line}, alpha {evidence.alpha:.2g}, as its run says"
    )
    return Finding("frozen", State.OK, says)


def _candidate(name: str, version: str, evidence: EvidenceRecord) -> Finding:
    try:
        now = versions.get_version(name, version)
        if now.digest != evidence.candidate.identity:
            says = f"the evidence is about {evidence.candidate.uri} with other bytes"
            return Finding("candidate", State.TAMPERED, says, fatal=True)
    except IntegrityError as error:
        return Finding("candidate", State.TAMPERED, error.message, fatal=True)
    uri = f"models:/{name}/{version}"
    return _bytes("candidate", evidence.candidate.model_copy(update={"uri": uri}))


def _bytes(part: str, side: Side, *, of_base: bool = False) -> Finding:
    """Read a side's bytes, or those of its base, in the store."""
    if side.base_digest is None:
        return Finding(part, State.ABSENT, f"{side.uri}: a server's bytes are unknown")
    uri, adapter = side.uri, None if of_base else side.adapter_digest
    try:
        if of_base and side.adapter_digest is not None:
            uri = _base_uri(side.base_digest)
        if adapter is not None:
            adapters.verify_in_store(uri, adapter)
        else:
            bases.verify_in_store(uri, side.base_digest)
    except IntegrityError as error:
        return Finding(part, State.TAMPERED, error.message, fatal=True)
    except (NotFoundError, StoreError) as error:
        return Finding(part, State.ABSENT, error.message, fatal=part == "candidate")
    return Finding(part, State.OK, f"{uri}: SHA-256 {(adapter or side.base_digest)[:12]}…")


def _base_uri(base_digest: str) -> str:
    """Return where the registry has a base.

    Raises:
        NotFoundError: It is not registered.
    """
    found = registry.tagged_bases(base_digest=base_digest)
    if not found:
        raise NotFoundError(f"base {base_digest[:12]}…: not registered in this store")
    return f"models:/{found[0].name}/{found[0].version}"


def _suite(evidence: EvidenceRecord, run_id: str) -> Finding:
    kept = [f for f in artifacts.files_in(run_id, tags.FROZEN_FOLDER) if f != tags.FROZEN_FILE]
    if not kept:
        was = evidence.push is not None
        state = State.TAMPERED if was else State.ABSENT
        return Finding("suite", state, f"run {run_id} keeps no suite", fatal=was)
    with staging() as folder:
        path = Path(artifacts.download(f"runs:/{run_id}/{kept[0]}", str(folder)))
        actual = _digest_of_suite(path, in_memory=kept[0] == IN_MEMORY)
    if actual != evidence.suite.digest or len(kept) > 1:
        says = f"{', '.join(kept)} of run {run_id} has another digest than {evidence.suite.digest[:12]}…"
        return Finding("suite", State.TAMPERED, says, fatal=True)
    return Finding("suite", State.OK, f"{evidence.suite.name}: SHA-256 {actual[:12]}…")


def _digest_of_suite(path: Path, *, in_memory: bool) -> str:
    if not in_memory:
        return digest.of_file(path)
    try:
        return digest.of_record(json.loads(path.read_text(encoding="utf-8")))
    except ValueError:
        return ""


def _verdict(evidence: EvidenceRecord) -> Finding:
    try:
        wrong = contradiction(evidence)
    except UsageError as error:
        wrong = error.message
    if wrong is not None:
        return Finding("verdict", State.TAMPERED, wrong, fatal=True)
    says = f"{evidence.verdict}, {_outcome(evidence.passed)}: as its metrics and policy say"
    return Finding("verdict", State.OK, says)


def _description(name: str, version: str, run_id: str) -> Finding:
    """Compare the card on the version's page with that of the run; nothing is decided on it."""
    run = runs.find_run(run_id)
    card = (run.data.tags.get(tags.NOTE, "") if run else "").strip()
    shown = registry.version_record(name, version).description or ""
    if card and card in shown:
        return Finding("description", State.OK, "the card is that of the run")
    return Finding(
        "description",
        State.EDITED,
        "the text on the version's page is not the gate's card; no promotion reads it",
    )


def _signature(found: Recorded, public_key: Path | None) -> Finding:
    there = tags.SIGNATURE_FILE in artifacts.files_in(found.run_id, "report")
    if not there:
        says = "the evidence is not signed"
        return Finding("signature", State.ABSENT, says, fatal=public_key is not None)
    if public_key is None:
        return Finding("signature", State.ABSENT, "signed, but no --key to check it with")
    signature = artifacts.read_text(found.run_id, tags.SIGNATURE_FILE)
    if not is_valid(digest.canonical(found.record), signature, public_key):
        says = f"not made with the private key of {public_key}, or about another evidence"
        return Finding("signature", State.TAMPERED, says, fatal=True)
    return Finding("signature", State.OK, f"made with the private key of {public_key}")
