"""The schema of evidence: what is read back is checked before anything is decided on it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError

from llmops.errors import UsageError
from llmops.files import digest
from llmops.recipe.schema import Gate
from llmops.records import Check, Figures, MetricResult, Verdict
from llmops.records.models import identity

SCHEMA_VERSION = 1
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
    """The policy that was in force, with the digest of its other keys."""

    digest: Sha256


class SuiteRecord(BaseModel):
    """The suite: its name, and the digest of its content."""

    name: str
    digest: Sha256


class EvidenceRecord(BaseModel):
    """The keys of the evidence on which a promotion relies; a later llmops may add others."""

    schema_version: Literal[1]
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


def read(record: Mapping[str, Any], where: str) -> EvidenceRecord:
    """Read evidence from JSON types.

    Args:
        record: The content of the file.
        where: The version and the file, for an error.

    Raises:
        UsageError: The schema is unknown, a key is missing or has another type, or the digest of the
            policy is not that of its content.
    """
    version = record.get("schema_version")
    if version != SCHEMA_VERSION:
        raise UsageError(
            f"{where}: has schema_version {version!r}; this llmops reads {SCHEMA_VERSION}",
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
    content = {key: value for key, value in record["policy"].items() if key != "digest"}
    if digest.of_record(content) != evidence.policy.digest:
        raise UsageError(f"{where}: damaged: policy.digest is not that of the policy")
    return evidence
