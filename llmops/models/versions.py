"""Registered versions that llmops logged, each with its pin."""

from __future__ import annotations

from llmops.models import stored
from llmops.models.pin import Pin
from llmops.records import ModelVersion
from llmops.store.registry import version_record


def get_version(name: str, version: str) -> ModelVersion:
    """Return a registered version that llmops logged.

    Raises:
        NotFoundError: There is no such version.
        UsageError: llmops did not log it.
        IntegrityError: Its pin is damaged.
    """
    return pinned_version(name, version)[0]


def pinned_version(name: str, version: str) -> tuple[ModelVersion, Pin]:
    """Return a registered version with its pin; see ``get_version``."""
    record = version_record(name, version)
    pin, model_id = stored.ModelArtifacts(f"models:/{name}/{version}").pin()
    return ModelVersion(
        name=name,
        version=str(record.version),
        model_id=model_id,
        run_id=record.run_id or None,
        adapter_digest=pin.adapter_digest,
        base_digest=pin.digest,
    ), pin
