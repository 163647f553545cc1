"""The schema of evidence: what is read back is checked before anything is decided on it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError

from llmops.errors import UsageError
from llmops.files import digest
from llmops.recipe.schema import Gate
from llmops.records import Budget, Check, Figures, MetricResult, Verdict
from llmops.records.models import identity

SCHEMA_VERSION = 2
READABLE = (1, 2)
"""Versions of the schema that are read: 1 has neither a digest of its own nor what was frozen."""
SHOWN = 4
"""Number of problems that a message names."""

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Side(BaseModel):
    """One side: its URI and the digests of its bytes; both are ``None`` for a model behind a URL."""

    uri: str
    adapter_digest: Sha256 | None
    base_digest: Sha256 | None
    model_id: str | None

    @property
    def identity(self) -> str | None:
        """Digest of base and adapter together; ``None`` if the bytes are unknown."""
        if self.base_digest is None:
            return None
        return identity(self.base_digest, self.adapter_digest)


class Policy(Gate):
    """The policy that was in force, with the digest of its other keys, and of policy and scorers."""

    digest: Sha256
    bound: Sha256 | None = None


class SuiteRecord(BaseModel):
    """The suite: its name, and the digest of its content."""

    name: str
    digest: Sha256


class EvidenceRecord(BaseModel):
    """The keys of the evidence on which a promotion relies; a later llmops may add others."""

    schema_version: Literal[1, 2]
    code_version: str
    candidate: Side
    baseline: Side
    suite: SuiteRecord
    policy: Policy
    metrics: tuple[MetricResult, ...] = Field(min_length=1)
    figures: Figures = Figures()
    checks: tuple[Check, ...] = Field(min_length=1)
    verdict: Verdict
    passed: bool
    run_id: str
    sentence: str = ""
    scorers: tuple[dict[str, str], ...] = ()
    question: Sha256 | None = None
    line: str | None = None
    push: int | None = Field(default=None, ge=1)
    alpha: float | None = None
    next_alpha: float | None = None
    sha256: Sha256 | None = None

    @property
    def budget(self) -> Budget | None:
        """Push and level; ``None`` if nothing was frozen before the comparison."""
        if self.line is None or self.push is None or self.alpha is None or self.next_alpha is None:
            return None
        return Budget(self.line, self.push, self.policy.alpha, self.alpha, self.next_alpha)


def digest_of(record: Mapping[str, Any]) -> str:
    """Return the digest of evidence: that of all its keys but ``sha256``, which holds it.

    Raises:
        ValueError: The record holds NaN or an infinity, which JSON cannot represent.
    """
    return digest.of_record({key: value for key, value in record.items() if key != "sha256"})


def read(record: Mapping[str, Any], where: str) -> EvidenceRecord:
    """Read evidence from JSON types.

    Args:
        record: The content of the file.
        where: The version and the file, for an error.

    Raises:
        UsageError: The schema is unknown, a key is missing or has another type, or a digest in it is
            not that of its content.
    """
    version = record.get("schema_version")
    if version not in READABLE or isinstance(version, bool):
        raise UsageError(
            f"{where}: has schema_version {version!r}; this llmops reads"
            f" {' and '.join(map(str, READABLE))}",
            next_command="pip install --upgrade mlflow-llmops, or judge the version again",
        )
    try:
        evidence = EvidenceRecord.model_validate_json(json.dumps(record), strict=True)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()
        ]
        more = f" (and {len(problems) - SHOWN} more)" if len(problems) > SHOWN else ""
        raise UsageError(f"{where}: damaged: {'; '.join(problems[:SHOWN])}{more}") from error
    _check_digests(record, evidence, where)
    return evidence


def _check_digests(record: Mapping[str, Any], evidence: EvidenceRecord, where: str) -> None:
    content = {key: v for key, v in record["policy"].items() if key not in ("digest", "bound")}
    if digest.of_record(content) != evidence.policy.digest:
        raise UsageError(f"{where}: damaged: policy.digest is not that of the policy")
    bound = digest.of_record({"gate": content, "scorers": list(evidence.scorers)})
    if evidence.schema_version == 2 and (evidence.policy.bound, evidence.sha256) != (
        bound,
        digest_of(record),
    ):
        raise UsageError(f"{where}: damaged: policy.bound or sha256 is not that of its content")
