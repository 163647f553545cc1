"""Base models: added once, registered like any model, pinned by digest ever after."""

from __future__ import annotations

import os
from pathlib import Path, PurePath

from llmops.engine.local import preflight
from llmops.errors import NotFoundError, UsageError
from llmops.files import digest, home
from llmops.files.staging import copy_of, lock, staging
from llmops.flavor import embedded
from llmops.flavor.options import LogOptions
from llmops.flavor.register import log_source
from llmops.flavor.source import Source
from llmops.models import adapters, bases, hub, pin, safety
from llmops.progress import say
from llmops.records import BaseModel
from llmops.records.names import MODEL_NAME, check_model_name
from llmops.store import registry, tags


def ensure_base(reference: str) -> BaseModel:
    """The base that a recipe names: registered already, or added now.

    Args:
        reference: A registered base, an embedded base, a directory, or a hub id.

    Raises:
        NotFoundError: None of these; nothing is registered.
    """
    if MODEL_NAME.fullmatch(reference):
        found = bases.find(reference)
        if found is not None:
            return found
    return add_base(reference)


def add_base(
    source: str | Path, name: str | None = None, *, revision: str | None = None
) -> BaseModel:
    """Brings a base into the cache and registers it.

    Args:
        source: An embedded base's name, a directory with safetensors, or a hub id.
        name: Registered model name; by default that of the source.
        revision: Branch, tag or commit of a hub id; by default the newest.

    Returns:
        The base, verified, on this machine. Adding the same bytes again registers nothing.

    Raises:
        NotFoundError: No such source.
        UsageError: Pickle files or remote code.
        IntegrityError: A damaged file, or weights that are not finite.
    """
    reference = str(source)
    directory = home.directory(reference)
    name = name or (directory.resolve() if directory else PurePath(reference)).name.lower()
    check_model_name(name)
    # Several processes that add one base: the first does it, the others find it done.
    with (
        home.writing(f"base {name}"),
        lock(f"add-{digest.of_bytes(os.fsencode(f'{reference}@{revision}'))[:16]}"),
    ):
        base_digest = _bring(reference, directory, revision)
        with lock(f"register-{base_digest}"):
            if registry.find_base(base_digest=base_digest) is None:
                _register(name, base_digest)
        return bases.fetch(base_digest)


def _bring(reference: str, directory: Path | None, revision: str | None) -> str:
    """Brings a source into the cache; returns its digest."""
    if revision is not None and not _is_hub_id(reference):
        raise UsageError(f"{reference}: only a hub id (OWNER/NAME) has a revision")
    if reference in embedded.PACKAGES:
        return embedded.bring(reference)
    if directory is not None:
        return _copy(directory, pin.origin_of_directory(directory))
    if _is_hub_id(reference):
        say(f"base {reference}: downloading from the hub")
        return _copy(*hub.download(reference, revision))
    known = ", ".join(embedded.PACKAGES)
    raise NotFoundError(
        f"base model {reference!r}: not registered, not embedded ({known}), not a directory, and not a hub id",
        next_command="llmops base add DIRECTORY|HUB_ID, then `llmops base ls`",
    )


def _is_hub_id(reference: str) -> bool:
    return hub.HUB_ID.fullmatch(reference) is not None and not Path(reference).exists()


def _copy(directory: Path, origin: str | None) -> str:
    if (directory / adapters.CONFIG).is_file():
        raise UsageError(
            f"{directory}: an adapter, not a base model",
            next_command=f"llmops.log_model({str(directory)!r}, base=…) in Python",
        )
    safety.check_code(directory)
    with staging() as folder:
        staged = bases.copy(directory, folder)
        with copy_of(directory, staged):
            safety.check_model(staged)
            preflight.check_model(staged)
        return bases.keep(staged, origin=origin)[0]


def _register(name: str, base_digest: str) -> None:
    say(f"base {name}: registering")
    with staging() as folder:
        bases.link(base_digest, folder)
        source = Source(folder, None, {}, bases.origin_of(base_digest))
        version_tags = {tags.KIND: "base", tags.BASE_DIGEST: base_digest}
        options = LogOptions(name=name, registered_model_name=name, version_tags=version_tags)
        log_source(source, options)
