"""The baseline that a candidate is compared with."""

from __future__ import annotations

from pathlib import Path

from llmops.files.home import write_whole
from llmops.models.bases import fetch
from llmops.recipe.schema import Policy
from llmops.records import BaseModel, ModelFiles, ModelVersion
from llmops.store import registry

BASE, URI = "base", "models:/"
"""A baseline that is no alias: the candidate's own base, or the beginning of a URI."""


def baseline(policy: Policy, base: BaseModel) -> str:
    """Return the URI of the policy's baseline: the bare base while there is no champion.

    Args:
        policy: The policy, whose ``compare.baseline`` is an alias, ``base`` or a ``models:/`` URI.
        base: The base model of the candidate.
    """
    named = policy.compare.baseline
    if named.startswith(URI):
        return named
    version = None if named == BASE else registry.version_of_alias(policy.model, named)
    return base.uri if version is None else f"models:/{policy.model}/{version}"


def is_first(policy: Policy, against: ModelFiles, candidate: ModelFiles) -> bool:
    """Return whether the base stands in for a baseline that no version is yet.

    Args:
        policy: The policy, whose ``compare.baseline`` is an alias, or it is no first version.
        against: The baseline, resolved.
        candidate: The candidate; in a run that is resumed after its promotion it has the alias.
    """
    named = policy.compare.baseline
    if named == BASE or named.startswith(URI) or against.uri != candidate.base.uri:
        return False
    version = registry.version_of_alias(policy.model, named)
    return version is None or candidate.uri == f"{URI}{policy.model}/{version}"


def remembered_baseline(work: Path, policy: Policy, version: ModelVersion) -> str:
    """Return the baseline's URI, and remember it for a run that is resumed after its promotion.

    By then the candidate is the champion and would be compared with itself.

    Args:
        work: Workspace of the run, where the URI is kept.
        policy: The policy.
        version: The candidate.

    Raises:
        StoreError: The base model cannot be fetched, or the store does not answer.
    """
    path = work / f"baseline-of-v{version.version}"
    now = baseline(policy, fetch(version.base_digest))
    if now == version.uri and path.is_file():
        return path.read_text(encoding="utf-8")
    write_whole(path, now)
    return now
