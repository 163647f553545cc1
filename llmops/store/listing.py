"""What the registry holds: the models that llmops knows, and the versions of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from llmops.store import registry, tags
from llmops.store.missing import missing

CHAMPION = "champion"


@dataclass(frozen=True)
class ListedVersion:
    """A version in a list.

    Attributes:
        version: Its number.
        aliases: Aliases that point to it, sorted.
        kind: ``adapter``, ``full`` or ``base``; empty if llmops did not log it.
        verdict: Verdict of its newest gate; empty if nobody judged it.
        delta: Difference that decided, as text.
        versus: The side it was compared with.
        proof: ``UNPROVEN`` if an audit found no evidence for it.
        created: Time of registration, UTC, ISO 8601.
    """

    version: str
    aliases: tuple[str, ...]
    kind: str
    verdict: str
    delta: str
    versus: str
    proof: str
    created: str


@dataclass(frozen=True)
class ListedModel:
    """A registered model in a list.

    Attributes:
        name: Its name.
        versions: Number of its versions.
        aliases: Alias → version.
        newest: The newest version; ``None`` if it has none.
    """

    name: str
    versions: int
    aliases: Mapping[str, str]
    newest: ListedVersion | None


def list_models() -> tuple[ListedModel, ...]:
    """Return all registered models, by name.

    Raises:
        StoreError: The MLflow store refuses or does not answer.
    """
    return tuple(_listed(record) for record in registry.models())


def list_versions(name: str) -> tuple[ListedVersion, ...]:
    """Return the versions of a model, the newest first.

    Args:
        name: Registered model.

    Raises:
        NotFoundError: There is no such model.
        StoreError: The MLflow store refuses or does not answer.
    """
    record = registry.model_record(name)
    if record is None:
        raise missing(f"{name}: no such registered model", name)
    return _versions(record)


def _listed(record: Any) -> ListedModel:
    versions = _versions(record)
    aliases = {alias: str(version) for alias, version in sorted(record.aliases.items())}
    return ListedModel(record.name, len(versions), aliases, versions[0] if versions else None)


def _versions(record: Any) -> tuple[ListedVersion, ...]:
    found = sorted(registry.versions(record.name), key=lambda each: -int(each.version))
    return tuple(_version(record, each) for each in found)


def _version(record: Any, version: Any) -> ListedVersion:
    number = str(version.version)
    created = datetime.fromtimestamp(version.creation_timestamp / 1000, UTC)
    return ListedVersion(
        version=number,
        # A search returns versions without their aliases (MLflow 3.17).
        aliases=tuple(sorted(a for a, v in record.aliases.items() if str(v) == number)),
        kind=version.tags.get(tags.KIND, ""),
        verdict=_tag(version, tags.VERDICT),
        delta=_tag(version, tags.DELTA),
        versus=_tag(version, tags.VERSUS),
        proof=version.tags.get(tags.PROOF, ""),
        created=created.isoformat(timespec="seconds"),
    )


def _tag(version: Any, name: str) -> str:
    return str(version.tags.get(name, version.tags.get(tags.EARLIER[name], "")))
