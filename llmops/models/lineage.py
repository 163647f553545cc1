"""Where a version comes from, read from MLflow's records and the version's small files.

No weight is read. A field that was never recorded is ``None``, never a guess.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from llmops.errors import IntegrityError, NotFoundError
from llmops.models import adapters, bases, training_run, versions, vllm_limits
from llmops.models.pin import Pin
from llmops.models.stored import ModelArtifacts, SavedModel
from llmops.records.lineage import Adapter, Base, Lineage
from llmops.records.names import MODEL_NAME
from llmops.store import connection, registry, runs
from llmops.store.tags import DATA_DIGEST, RECIPE_DIGEST

PACKAGES = ("mlflow", "torch", "transformers", "peft")
REQUIREMENTS = "requirements.txt"
OWN = (adapters.ADAPTER_FOLDER, adapters.TOKENIZER_FOLDER)
ADAPTER_CONFIG = f"{adapters.ADAPTER_FOLDER}/{adapters.CONFIG}"

Files = ModelArtifacts | SavedModel

_LOGGED = re.compile(r"models:/(m-[^/@]+)")
_PINNED = re.compile(r"^([\w.-]+)==([^\s;]+)", re.MULTILINE)


def lineage(uri: str, copy: SavedModel | None = None) -> Lineage:
    """Read where a version comes from: base, adapter, data, recipe, run and evidence.

    Args:
        uri: ``models:/NAME/VERSION``, ``models:/NAME@ALIAS``, ``models:/m-…`` (a logged model), or
            the name of a base.
        copy: A local copy of its small files; by default they are read from the store.

    Returns:
        The lineage. A field that was never recorded is ``None``.

    Raises:
        UsageError: Another kind of URI, or a model that llmops did not log.
        NotFoundError: There is no such model.
        IntegrityError: ``base.json`` or the adapter's configuration is damaged.
        StoreError: The store refuses or does not answer.

    Example:
        from llmops.models import lineage

        origin = lineage("models:/quickstart@champion")
        print(origin.base.name, origin.data_digest, origin.run and origin.run.commit)
    """
    uri, version = _located(uri)
    stored = copy or ModelArtifacts(uri)
    pin, model_id = stored.pin()
    if version is not None:
        versions.check_tags(version, pin)
    model = runs.find_logged_model(model_id) if model_id else None
    run_id = (version and version.run_id) or (model and model.source_run_id)
    run = runs.find_run(run_id) if run_id else None
    tags = {**(model.tags if model else {}), **(run.data.tags if run else {})}
    base = _base(pin)
    return Lineage(
        uri=uri,
        kind="adapter" if pin.adapter_digest else "base" if base.uri else "full",
        aliases=tuple(sorted(version.aliases)) if version else (),
        created=training_run.time(getattr(version or model, "creation_timestamp", None)),
        link=_page(uri) if version else None,
        model_id=model.model_id if model else None,
        model_link=_model_page(model) if model else None,
        base=base,
        adapter=_adapter(stored, pin.adapter_digest) if pin.adapter_digest else None,
        data_digest=tags.get(DATA_DIGEST),
        recipe_digest=tags.get(RECIPE_DIGEST),
        run=training_run.training(run_id, run) if run_id else None,
        evidence=training_run.evidence(version.tags, pin) if version else None,
        requirements=_requirements(stored),
    )


def _located(uri: str) -> tuple[str, Any | None]:
    """Return the URI with its alias resolved, and MLflow's record of the version."""
    if logged := _LOGGED.fullmatch(uri):
        if runs.find_logged_model(logged[1]) is None:
            raise NotFoundError(f"{uri}: no such logged model", next_command="llmops doctor")
        return uri, None
    base = next(iter(registry.tagged_bases(name=uri)), None) if MODEL_NAME.fullmatch(uri) else None
    name, number = (base.name, str(base.version)) if base else registry.parse(uri)
    version = registry.version_record(name, number)
    return f"models:/{name}/{version.version}", version


def _base(pin: Pin) -> Base:
    version = versions.registered_base(pin.digest)
    uri = f"models:/{version.name}/{version.version}" if version else None
    return Base(
        name=pin.base,
        uri=uri,
        digest=pin.digest,
        origin=pin.origin,
        cached=bases.cache_dir(pin.digest).is_dir(),
        link=_page(uri) if uri else None,
    )


def _adapter(stored: Files, digest: str) -> Adapter:
    files = stored.files(*OWN)
    if ADAPTER_CONFIG not in files:
        raise IntegrityError(f"{stored.uri}: {ADAPTER_CONFIG} is missing")
    try:
        config = json.loads(stored.text(ADAPTER_CONFIG))
        targets = config.get("target_modules")
        return Adapter(
            digest=digest,
            rank=config.get("r"),
            alpha=config.get("lora_alpha"),
            targets=len(targets) if isinstance(targets, list) else None,
            size=_size(files),
            unservable=vllm_limits.unservable(config),
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise IntegrityError(f"{stored.uri}: {ADAPTER_CONFIG} is damaged: {error}") from error


def _size(files: Mapping[str, int | None]) -> int | None:
    """Return the bytes in the version's own folders, ``None`` if the store does not list sizes."""
    sizes = [size for path, size in files.items() if path.partition("/")[0] in OWN]
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None


def _requirements(stored: Files) -> dict[str, str | None]:
    text = stored.text(REQUIREMENTS) if REQUIREMENTS in stored.files() else ""
    pinned = dict(_PINNED.findall(text))
    return {package: pinned.get(package) for package in PACKAGES}


def _page(uri: str) -> str:
    name, version = uri.removeprefix("models:/").split("/")
    return connection.ui(f"/models/{name}/versions/{version}")


def _model_page(model: Any) -> str:
    return connection.ui(f"/experiments/{model.experiment_id}/models/{model.model_id}")
