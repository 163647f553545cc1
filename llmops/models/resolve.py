"""Resolve what a user names (a version, alias, base or directory) to verified local files."""

from __future__ import annotations

from pathlib import Path

from llmops.errors import NotFoundError
from llmops.files import home
from llmops.models import adapters, bases, pin, safety, stored, versions
from llmops.models.pin import Pin
from llmops.records import BaseModel, LoadOptions, ModelFiles
from llmops.records.models import BARE_BASE
from llmops.records.names import MODEL_NAME
from llmops.store import registry

NO_OPTIONS = LoadOptions()


def resolve(uri: str, options: LoadOptions = NO_OPTIONS) -> ModelFiles:
    """Resolve a model to verified files on this machine; download what is missing.

    Args:
        uri: ``models:/name/version``, ``models:/name@alias``, ``models:/m-…`` (a logged model that
            is not registered), ``runs:/…``, a directory that MLflow saved, or a base by its name.
        options: How the model will be loaded; ``base`` names a directory with its base.

    Returns:
        The files, with the alias resolved.

    Raises:
        UsageError: Another kind of URI, or a model that llmops did not log.
        NotFoundError: There is no such model, or no place has its base.
        IntegrityError: The bytes differ from the recorded digests.
        StoreError: The store refuses or does not answer.

    Example:
        from llmops.models import resolve

        files = resolve("models:/quickstart@champion")
        print(files.uri, files.digest, files.base.directory, files.adapter_dir)
    """
    if MODEL_NAME.fullmatch(uri):
        base = bases.find(uri)
        if base is not None:
            return of_base(base)
    directory = home.directory(uri)
    if directory is not None:
        return of_model_dir(directory, options)
    if MODEL_NAME.fullmatch(uri):
        raise NotFoundError(
            f"{uri!r}: no base model with this name; a version is written models:/{uri}/1",
            next_command="llmops base ls",
        )
    if uri.startswith(("models:/m-", "runs:/")):
        return _logged(uri, options)
    name, version = registry.parse(uri)
    return _registered(name, version, options)


def of_base(base: BaseModel) -> ModelFiles:
    """Return the bare base as the files of a model."""
    return ModelFiles(
        label=BARE_BASE,
        uri=base.uri,
        base=base,
        adapter_dir=None,
        adapter_digest=None,
        model_id=None,
    )


def of_model_dir(model_dir: Path, options: LoadOptions = NO_OPTIONS) -> ModelFiles:
    """Return the verified files of a saved or logged model's directory.

    Args:
        model_dir: Holds ``base.json`` and ``adapter/``, or ``base.json`` and ``model/``.
        options: See ``resolve``.

    Raises:
        NotFoundError: No place has its base.
        IntegrityError: The bytes differ from the record, or a link leads out of the directory.
    """
    safety.check_inside(model_dir)
    pinned = pin.read(model_dir)
    model_id = pin.model_id(model_dir)
    uri = f"models:/{model_id}" if model_id else model_dir.name
    if pinned.adapter_digest is None:
        folder = model_dir / bases.MODEL_FOLDER
        bases.at(folder, pinned.digest)
        base = BaseModel(pinned.base, uri, pinned.digest, folder, pinned.origin)
        return ModelFiles(model_dir.name, uri, base, None, None, model_id)
    adapters.verify(model_dir, pinned.adapter_digest, str(model_dir))
    return _tuned(model_dir.name, uri, pinned, model_dir, options, model_id)


def _registered(name: str, version: str, options: LoadOptions) -> ModelFiles:
    record, pinned = versions.pinned_version(name, version)
    if versions.is_base(registry.version_record(name, version)):
        return of_base(bases.fetch(record.base_digest, location=options.base))
    return _stored(f"v{version}", record.uri, pinned, options, record.model_id, record.run_id)


def _logged(uri: str, options: LoadOptions) -> ModelFiles:
    model_id = uri.removeprefix("models:/") if uri.startswith("models:/") else None
    return _stored(uri.rpartition("/")[2], uri, stored.read_pin(uri), options, model_id, None)


def _stored(
    label: str,
    uri: str,
    pinned: Pin,
    options: LoadOptions,
    model_id: str | None,
    run_id: str | None,
) -> ModelFiles:
    """Return the files of a model in the store, downloaded if needed."""
    if pinned.adapter_digest is None:
        directory = bases.from_version(uri, pinned.digest)
        base = BaseModel(pinned.base, uri, pinned.digest, directory, pinned.origin)
        return ModelFiles(label, uri, base, None, None, model_id, run_id)
    version_dir = adapters.fetch(uri, pinned.adapter_digest)
    return _tuned(label, uri, pinned, version_dir, options, model_id, run_id)


def _tuned(
    label: str,
    uri: str,
    pinned: Pin,
    version_dir: Path,
    options: LoadOptions,
    model_id: str | None = None,
    run_id: str | None = None,
) -> ModelFiles:
    """Return the files of an adapter with its base."""
    return ModelFiles(
        label=label,
        uri=uri,
        base=bases.fetch(pinned.digest, pinned, location=options.base),
        adapter_dir=version_dir / adapters.ADAPTER_FOLDER,
        adapter_digest=pinned.adapter_digest,
        model_id=model_id,
        run_id=run_id,
        tokenizer_dir=adapters.tokenizer_of(version_dir),
    )
