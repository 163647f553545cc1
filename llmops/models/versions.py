"""Registered versions that llmops logged, each with its pin."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

from llmops.errors import IntegrityError, LlmopsError, NotFoundError, UsageError
from llmops.models import stored, training_run
from llmops.models.pin import Pin
from llmops.progress import say
from llmops.records import ModelFiles, ModelVersion
from llmops.store import tags
from llmops.store.registry import tagged_bases, version_record

VERSION = re.compile(r"models:/([^/@]+)/([0-9]+)")
"""URI of a registered version."""


def get_version(name: str, version: str) -> ModelVersion:
    """Return a registered version that llmops logged.

    Raises:
        NotFoundError: There is no such version.
        UsageError: llmops did not log it.
        IntegrityError: Its pin is damaged, or a tag contradicts it.
    """
    return pinned_version(name, version)[0]


def pinned_version(name: str, version: str) -> tuple[ModelVersion, Pin]:
    """Return a registered version with its pin; see ``get_version``."""
    record = version_record(name, version)
    pin, model_id = stored.ModelArtifacts(f"models:/{name}/{version}").pin()
    check_tags(record, pin)
    return ModelVersion(
        name=name,
        version=str(record.version),
        model_id=model_id,
        run_id=record.run_id or None,
        adapter_digest=pin.adapter_digest,
        base_digest=pin.digest,
    ), pin


def digest_of_base(record: Any) -> str:
    """Return the digest of a registered base, from its pin.

    Args:
        record: MLflow's record of the version.

    Raises:
        IntegrityError: Its tags contradict its pin, or the pin is damaged.
    """
    return pinned_version(record.name, str(record.version))[1].digest


def registered_base(base_digest: str) -> Any | None:
    """Return MLflow's record of the newest registered base with these bytes, ``None`` without one.

    A version whose pin does not confirm its tags is passed over.
    """
    for record in tagged_bases(base_digest=base_digest):
        with suppress(IntegrityError, NotFoundError, UsageError):
            digest_of_base(record)
            return record
    return None


def check_tags(record: Any, pin: Pin) -> None:
    """Refuse a version whose tags contradict its pin: anyone with access to MLflow can set a tag.

    Args:
        record: MLflow's record of the version.
        pin: Its pin.

    Raises:
        IntegrityError: It is tagged as a base but has an adapter, or has another base's digest.
    """
    uri = f"models:/{record.name}/{record.version}"
    if is_base(record) and pin.adapter_digest is not None:
        raise IntegrityError(
            f"{uri}: the tag {tags.KIND} says that it is a base, but its pin has an adapter",
            next_command="remove the tag: python -c 'import mlflow; mlflow.MlflowClient()"
            f'.delete_model_version_tag("{record.name}", "{record.version}", "{tags.KIND}")\'',
        )
    tagged = record.tags.get(tags.BASE_DIGEST, pin.digest)
    if tagged != pin.digest:
        raise IntegrityError(
            f"{uri}: the tag {tags.BASE_DIGEST} says {tagged[:16]}…, its pin {pin.digest[:16]}…",
            next_command="correct the tag: python -c 'import mlflow; mlflow.MlflowClient()"
            f'.set_model_version_tag("{record.name}", "{record.version}", "{tags.BASE_DIGEST}",'
            f' "{pin.digest}")\'',
        )


def is_base(record: Any) -> bool:
    """Return whether MLflow's record of a version is tagged as a base model."""
    return str(record.tags.get(tags.KIND)) == "base"


def warn_of_other_bytes(files: ModelFiles) -> None:
    """Say so if a version's evidence is about other bytes than the version has now.

    Args:
        files: The version, resolved; anything else has no evidence.
    """
    version = VERSION.fullmatch(files.uri)
    if version is None:
        return
    pin = Pin(base=files.base.name, digest=files.base.digest, adapter_digest=files.adapter_digest)
    try:
        found = training_run.evidence(version_record(*version.groups()).tags, pin)
    except LlmopsError:
        return  # only a warning is lost: the bytes themselves were checked
    if found is not None and found.other_bytes:
        say(
            f"warning: {files.uri}: its evidence ({found.verdict}) is about other bytes than it has"
            f" now\n  Next: llmops gate RECIPE --candidate {files.uri}"
        )
