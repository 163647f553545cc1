"""The evidence that a version's tags name: it counts only whole, passed, and about its bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llmops.errors import IntegrityError, LlmopsError, UsageError
from llmops.models.proof import frozen, schema
from llmops.models.proof.schema import EvidenceRecord
from llmops.models.versions import VERSION
from llmops.records import ModelFiles
from llmops.records.serving import Proof
from llmops.store import artifacts, registry, runs
from llmops.store.tags import EVIDENCE, EVIDENCE_FILE

UNPROVEN = "-C unproven=allow"
"""Setting of a deployment that may serve versions without proof."""


@dataclass(frozen=True)
class Recorded:
    """Evidence as it was recorded.

    Attributes:
        content: The evidence.
        digest: SHA-256 of its record.
        run_id: MLflow run of the comparison, which holds the record.
        record: The evidence as JSON types, with keys that ``content`` does not name.
    """

    content: EvidenceRecord
    digest: str
    run_id: str
    record: Mapping[str, Any] = field(repr=False, default_factory=dict)


def proof(files: ModelFiles) -> Proof:
    """Return the evidence that a version passed its gate, with exactly the bytes that it has now.

    An alias proves nothing: anyone with access to the registry can move it by hand.

    Args:
        files: The version, resolved and verified.

    Raises:
        UsageError: The version has no evidence; or the evidence is damaged, did not pass, or is about
            other bytes.
        IntegrityError: The evidence is not about what was frozen before the first answer.
        NotFoundError: The version no longer exists.
        StoreError: The MLflow store refuses or does not answer.
    """
    version = VERSION.fullmatch(files.uri)
    if version is None:
        raise UsageError(
            f"{files.uri}: no registered version, so no evidence is about it",
            next_command=f"name a version, such as models:/bot/1, or add {UNPROVEN}",
        )
    try:
        found = recorded(*version.groups())
        _refuse(found.content, files)
    except (UsageError, IntegrityError) as error:
        raise type(error)(
            f"{error.message}; a version without proof is not served",
            next_command=f"{again(files.uri)}, or add {UNPROVEN}",
        ) from error
    return Proof(digest=found.digest, verdict=str(found.content.verdict), run_id=found.run_id)


def _refuse(evidence: EvidenceRecord, files: ModelFiles) -> None:
    """Refuse evidence that does not allow these bytes."""
    if evidence.candidate.identity != files.digest:
        raise UsageError(f"{files.uri}: the evidence is about other bytes")
    if not evidence.passed:
        raise UsageError(
            f"{files.uri}: its verdict is {evidence.verdict}, which did not pass the gate"
        )


def recorded(name: str, version: str) -> Recorded:
    """Read the evidence that a version's tags name; check its digest and its schema.

    Args:
        name: Registered model.
        version: Its version.

    Raises:
        UsageError: The version has no evidence, or the evidence is damaged.
        NotFoundError: No such version.
        StoreError: The MLflow store refuses or does not answer.
    """
    uri = f"models:/{name}/{version}"
    named = registry.version_tag(name, version, EVIDENCE)
    if named is not None and not runs.EVIDENCE_PREFIX.fullmatch(named):
        raise UsageError(
            f"{uri}: its tag {EVIDENCE} is {named!r}; expected 12 to 64 hexadecimal digits",
            next_command=again(uri),
        )
    return recorded_as(named, uri)


def recorded_as(named: str | None, uri: str) -> Recorded:
    """Read the evidence with a digest; check that the record has this digest, and its schema.

    Args:
        named: The digest, or at least its first 12 digits; ``None`` if nothing is named.
        uri: The version that names it, for an error.

    Raises:
        UsageError: There is no such evidence, or it is damaged.
        IntegrityError: It is not about what was frozen before the first answer, or was changed.
        StoreError: The MLflow store refuses or does not answer.
    """
    run_id = runs.run_of_evidence(named) if named else None
    if named is None or run_id is None:
        raise UsageError(f"{uri}: has no evidence", next_command=again(uri))
    found = of_run(run_id, uri)
    if not found.digest.startswith(named):
        raise _changed(uri, run_id, frozen_before=bool(found.content.question))
    return found


def of_run(run_id: str, uri: str) -> Recorded:
    """Read the evidence that a run holds; check it against the run's tags, and its schema.

    Args:
        run_id: Run of a comparison.
        uri: The version that it is about, for an error.

    Raises:
        UsageError: There is no such evidence, or it is damaged.
        IntegrityError: It is not about what the run froze before the first answer, or was changed.
        StoreError: The MLflow store refuses or does not answer.
    """
    run = runs.find_run(run_id)
    tags: Mapping[str, str] = {} if run is None else run.data.tags
    record, bound = _record(run_id), frozen.is_frozen(tags)
    whole = tags.get(EVIDENCE)
    if whole is None or whole != _digest(record):
        if bound and record:  # say which part, where it can be known
            frozen.refuse_differences(record, run_id, tags, uri)
        raise _changed(uri, run_id, frozen_before=bound)
    frozen.refuse_differences(record, run_id, tags, uri)
    content = schema.read(record, f"{uri}: {EVIDENCE_FILE} of run {run_id}")
    if content.run_id != run_id:
        raise UsageError(
            f"{uri}: {EVIDENCE_FILE} of run {run_id} is a copy: it was written for run"
            f" {content.run_id}",
            next_command=again(uri),
        )
    return Recorded(content, whole, run_id, record)


def _changed(uri: str, run_id: str, *, frozen_before: bool) -> LlmopsError:
    """Return the error about evidence that is not what the gate wrote.

    Evidence without a freeze is of an earlier llmops, or of a policy chosen after the comparison.
    """
    if frozen_before:
        return IntegrityError(
            f"{uri}: {frozen.TAMPERED}: {EVIDENCE_FILE} of run {run_id} was changed after the verdict",
            next_command=again(uri),
        )
    return UsageError(
        f"{uri}: {EVIDENCE_FILE} of run {run_id} was changed after the verdict",
        next_command=again(uri),
    )


def again(uri: str) -> str:
    """Return the command that judges a version again."""
    return f"llmops gate RECIPE --candidate {uri}"


def _record(run_id: str) -> dict[str, Any]:
    try:
        return artifacts.read_json(run_id, EVIDENCE_FILE)
    except IntegrityError:  # something else than a record, which has no digest of evidence
        return {}


def _digest(record: Mapping[str, Any]) -> str | None:
    try:
        return schema.digest_of(record)
    except ValueError:  # NaN or infinity, which no evidence holds
        return None
