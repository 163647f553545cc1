"""From what a user names (a version, an alias, a base, a directory) to verified files here."""

from __future__ import annotations

from pathlib import Path

from llmops.errors import NotFoundError
from llmops.files import home
from llmops.models import adapters, bases, pin, safety, stored, versions
from llmops.models.pin import Pin
from llmops.records import BaseModel, LoadOptions, ModelFiles
from llmops.records.names import MODEL_NAME
from llmops.store import registry

NO_OPTIONS = LoadOptions()


def resolve(uri: str, options: LoadOptions = NO_OPTIONS) -> ModelFiles:
    """Resolves a side.

    Args:
        uri: ``models:/name/version``, ``models:/name@alias``, ``models:/m-…`` (a logged model that
            is not registered), ``runs:/…``, a directory that MLflow saved, or a base by its name.
        options: Its ``base`` says where the base lies.

    Raises:
        NotFoundError: No such version, or its base is nowhere.
        IntegrityError: The bytes differ from the recorded digests.
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
            f"{uri!r}: no base model of this name; a version is models:/{uri}/1 or such",
            next_command="llmops base ls",
        )
    if uri.startswith(("models:/m-", "runs:/")):
        return _logged(uri, options)
    name, version = registry.parse(uri)
    return _registered(name, version, options)


def of_base(base: BaseModel) -> ModelFiles:
    """The bare base as a side."""
    return ModelFiles(
        label="base", uri=base.uri, base=base, adapter_dir=None, adapter_digest=None, model_id=None
    )


def of_model_dir(model_dir: Path, options: LoadOptions = NO_OPTIONS) -> ModelFiles:
    """Files of a logged model's directory (holds ``base.json`` and ``adapter/``, or ``model/``).

    Raises:
        IntegrityError: Bytes and record differ, or a link leads out of the directory.
    """
    safety.check_inside(model_dir)
    found = pin.read(model_dir)
    model_id = pin.model_id(model_dir)
    uri = f"models:/{model_id}" if model_id else model_dir.name
    if found.adapter_digest is None:
        folder = model_dir / bases.MODEL_FOLDER
        bases.at(folder, found.digest)
        base = BaseModel(found.base, uri, found.digest, folder, found.origin)
        return ModelFiles(model_dir.name, uri, base, None, None, model_id)
    adapters.verify(model_dir, found.adapter_digest, str(model_dir))
    return _tuned(model_dir.name, uri, found, model_dir, options, model_id)


def _registered(name: str, version: str, options: LoadOptions) -> ModelFiles:
    known, found = versions.pinned_version(name, version)
    if registry.is_base(name, version):
        return of_base(bases.fetch(known.base_digest, location=options.base))
    return _stored(f"v{version}", known.uri, found, options, known.model_id, known.run_id)


def _logged(uri: str, options: LoadOptions) -> ModelFiles:
    model_id = uri.removeprefix("models:/") if uri.startswith("models:/") else None
    return _stored(uri.rpartition("/")[2], uri, stored.read_pin(uri), options, model_id, None)


def _stored(
    label: str,
    uri: str,
    found: Pin,
    options: LoadOptions,
    model_id: str | None,
    run_id: str | None,
) -> ModelFiles:
    """Files of a model that lies in the store."""
    if found.adapter_digest is None:
        directory = bases.from_version(uri, found.digest)
        base = BaseModel(found.base, uri, found.digest, directory, found.origin)
        return ModelFiles(label, uri, base, None, None, model_id, run_id)
    version_dir = adapters.fetch(uri, found.adapter_digest)
    return _tuned(label, uri, found, version_dir, options, model_id, run_id)


def _tuned(
    label: str,
    uri: str,
    found: Pin,
    version_dir: Path,
    options: LoadOptions,
    model_id: str | None = None,
    run_id: str | None = None,
) -> ModelFiles:
    """An adapter with its base."""
    return ModelFiles(
        label=label,
        uri=uri,
        base=bases.fetch(found.digest, found, location=options.base),
        adapter_dir=version_dir / adapters.ADAPTER_FOLDER,
        adapter_digest=found.adapter_digest,
        model_id=model_id,
        run_id=run_id,
        tokenizer_dir=adapters.tokenizer_of(version_dir),
    )
