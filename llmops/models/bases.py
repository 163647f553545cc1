"""Stored base models: a cache on this machine, addressed by content.

``LLMOPS_HOME/models/<digest>/`` appears by an atomic rename, so that a reader sees a complete model
or none. A version pins its base by digest, so any source of these bytes will do: the cache, the
registry, the hub, or a directory in ``LLMOPS_BASES``, in this order.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from llmops.errors import IntegrityError, NotFoundError
from llmops.files import digest, home
from llmops.files.staging import lock, staging
from llmops.models import hub, safety, stored, versions
from llmops.models.pin import Pin
from llmops.records import BaseModel
from llmops.store import artifacts, registry

MODEL_FOLDER = "model"
"""Folder in a logged base or full model that holds its files."""
MANIFEST = ".manifest.json"
"""File in a cached model: its origin, and size and modification time of each of its files."""
DAMAGED = "log the model again: {} is damaged in the store"
ROOTS = "LLMOPS_BASES"
"""Environment variable: folders of base models, separated as in ``PATH``."""


def cache_dir(base_digest: str) -> Path:
    """Return the directory of a base in the cache, whether it exists or not."""
    return home.folder("models") / base_digest


def keep(staged: Path, *, origin: str | None = None) -> tuple[str, Path]:
    """Move a checked model into the cache.

    Args:
        staged: A folder inside ``staging()`` that holds one complete model.
        origin: See ``BaseModel``.

    Returns:
        The model's digest and its directory in the cache.
    """
    base_digest = digest.of_model(staged)
    target = cache_dir(base_digest)
    if not target.exists():
        _write_manifest(staged, origin)
        try:
            staged.rename(target)
        except OSError:
            if not target.exists():  # else another process was first, with the same bytes
                raise
    return base_digest, target


def fetch(base_digest: str, pin: Pin | None = None, *, location: str | None = None) -> BaseModel:
    """Return a base by digest, downloaded or copied into the cache if it is not there.

    Args:
        base_digest: Digest of configuration, weights and tokenizer.
        pin: The pin that names the base; helps to find it outside the registry.
        location: The directory in which the user keeps the base; no other place is searched then.

    Raises:
        NotFoundError: No place has the base.
        IntegrityError: The base that was found has another digest.
    """
    if location is not None:
        return at(Path(location).expanduser(), base_digest)
    directory = cache_dir(base_digest)
    version = versions.registered_base(base_digest)
    if not directory.is_dir():
        with lock(f"base-{base_digest}"):  # of several processes, one downloads it
            if not directory.is_dir():
                _get(base_digest, version, pin)
    verify(directory, base_digest)
    _touch(directory)
    uri = f"cache:{base_digest}" if version is None else f"models:/{version.name}/{version.version}"
    name = base_digest[:12] if version is None else str(version.name)
    if version is None and pin is not None:
        name = pin.base
    return BaseModel(name, uri, base_digest, directory, origin_of(base_digest))


def origin_of(base_digest: str) -> str | None:
    """Return where a cached base first came from, ``None`` if that was not recorded."""
    return _manifest(cache_dir(base_digest)).get("origin")


def find(name: str) -> BaseModel | None:
    """Fetch the registered base with this name; return ``None`` if there is none.

    Raises:
        IntegrityError: The tags of the newest version contradict its pin.
    """
    version = next(iter(registry.tagged_bases(name=name)), None)
    return None if version is None else fetch(versions.digest_of_base(version))


def verify(directory: Path, base_digest: str, *, every_byte: bool = False) -> None:
    """Check a cached model: file sizes and times against its manifest, all bytes if those changed.

    Args:
        directory: The model in the cache.
        base_digest: The digest that it must have.
        every_byte: Whether to read all bytes even if sizes and times are unchanged.

    Raises:
        IntegrityError: The bytes have another digest.
    """
    if not every_byte and _manifest(directory).get("files") == _stamp(directory):
        return
    _check(directory, base_digest, f"rm -r {directory}, then rerun")
    _write_manifest(directory, _manifest(directory).get("origin"))


def from_version(uri: str, base_digest: str) -> Path:
    """Return the cached files of a full model or base; download them from its version if needed."""
    directory = cache_dir(base_digest)
    with lock(f"base-{base_digest}"):
        if not directory.is_dir():
            _download(uri, base_digest)
    verify(directory, base_digest)
    _touch(directory)
    return directory


def _get(base_digest: str, version: Any | None, pin: Pin | None) -> None:
    """Bring a base into the cache from the registry, the hub or ``LLMOPS_BASES``."""
    if version is not None:
        return _download(f"models:/{version.name}/{version.version}", base_digest)
    origin = "" if pin is None or pin.origin is None else pin.origin
    kind, _, where = origin.partition(":")
    if kind == "hub":
        return _copy(hub.download(*where.rsplit("@", 1)).directory, base_digest, origin)
    if kind == "directory":
        return _copy(_in_roots(where, pin), base_digest, origin)
    raise NotFoundError(
        f"base model {base_digest[:12]}…{f' ({pin.base})' if pin else ''}: neither in"
        f" {home.folder('models')} nor in the registry",
        next_command="llmops base add DIRECTORY|HUB_ID",
    )


def _download(uri: str, base_digest: str) -> None:
    with _from_store(uri, base_digest) as staged:
        origin = stored.read_pin(uri).origin
        keep(staged, origin=origin)


def verify_in_store(uri: str, base_digest: str) -> None:
    """Download a full model or base from the store, whatever is cached, and check every byte.

    Raises:
        IntegrityError: The bytes in the store have another digest.
        StoreError: The store refuses or does not answer.
    """
    with _from_store(uri, base_digest):
        pass


@contextmanager
def _from_store(uri: str, base_digest: str) -> Iterator[Path]:
    """Yield a model that was downloaded from the store and checked."""
    with staging() as folder:
        staged = Path(artifacts.download(uri, str(folder))) / MODEL_FOLDER
        if not staged.is_dir():
            raise IntegrityError(
                f"{uri}: no {MODEL_FOLDER}/ in the store", next_command=DAMAGED.format(uri)
            )
        safety.check_inside(staged)
        _check(staged, base_digest, DAMAGED.format(uri))
        yield staged


def copy(source: Path, folder: Path) -> Path:
    """Copy the files that define a model into a folder of ``staging()``; no link may lead out."""
    safety.check_links(source)
    staged = folder / MODEL_FOLDER
    staged.mkdir()
    for file in digest.model_files(source):
        shutil.copyfile(file, staged / file.name)
    return staged


def link(base_digest: str, folder: Path) -> Path:
    """Hard-link the files of a cached base into a folder of ``staging()``."""
    staged = folder / MODEL_FOLDER
    staged.mkdir()
    for file in digest.model_files(cache_dir(base_digest)):
        home.link_or_copy(str(file), str(staged / file.name))
    return staged


def _copy(source: Path, base_digest: str, origin: str) -> None:
    with staging() as folder:
        staged = copy(source, folder)
        _check(staged, base_digest, "llmops base add DIRECTORY|HUB_ID")
        keep(staged, origin=origin)


def _in_roots(name: str, pin: Pin | None) -> Path:
    """Return a directory by its name, in the folders of ``LLMOPS_BASES``, which the user trusts.

    Raises:
        NotFoundError: No folder has it.
        IntegrityError: It is a link that leads out of its folder.
    """
    roots = [Path(root) for root in os.environ.get(ROOTS, "").split(os.pathsep) if root]
    for root in roots:
        directory = root / name
        if directory.is_dir():
            if not directory.resolve().is_relative_to(root.resolve()):
                raise IntegrityError(
                    f"{directory}: a symbolic link to {directory.resolve()}, outside {root}: refused"
                )
            return directory
    named = ", ".join(map(str, roots)) or "not set"
    raise NotFoundError(
        f"base model {pin.base if pin else name}: neither cached, nor in the registry, nor a"
        f" directory {name!r} in {ROOTS} ({named})",
        next_command=f"llmops base add DIRECTORY, or set {ROOTS} to the folder that holds {name}/",
    )


def at(directory: Path, base_digest: str) -> BaseModel:
    """Return a base in a directory that the user names.

    All its bytes are read the first time, and again after a file changed.

    Raises:
        NotFoundError: There is no such directory.
        IntegrityError: Its bytes have another digest.
    """
    if not directory.is_dir():
        raise NotFoundError(f"base={directory}: no such directory")
    record = home.folder("verified") / f"{digest.of_bytes(str(directory.resolve()).encode())}.json"
    expected = {"digest": base_digest, "files": _stamp(directory)}
    with suppress(OSError, ValueError):
        if json.loads(record.read_text()) == expected:
            return BaseModel(directory.name, str(directory), base_digest, directory)
    _check(directory, base_digest, "name the directory that holds the pinned base")
    with suppress(OSError):  # without the record all bytes are read again next time
        home.write_whole(record, json.dumps(expected))
    return BaseModel(directory.name, str(directory), base_digest, directory)


def _check(directory: Path, base_digest: str, next_command: str) -> None:
    """Read all bytes of a model; refuse another digest."""
    actual = digest.of_model(directory)
    if actual != base_digest:
        raise IntegrityError(
            f"{directory}: expected digest {base_digest[:16]}…, found {actual[:16]}…: the bytes differ",
            next_command=next_command,
        )


def _stamp(directory: Path) -> dict[str, list[int]]:
    """Return size (bytes) and modification time (ns) of each file, which change with its bytes."""
    return {
        path.name: [path.stat().st_size, path.stat().st_mtime_ns]
        for path in digest.model_files(directory)
    }


def _manifest(directory: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):  # a torn manifest: its writer was killed
        return dict(json.loads((directory / MANIFEST).read_text(encoding="utf-8")))
    return {}


def _write_manifest(directory: Path, origin: str | None) -> None:
    record = {"files": _stamp(directory), "origin": origin}
    home.write_whole(directory / MANIFEST, json.dumps(record))


def _touch(directory: Path) -> None:
    """Record the time of use, for ``llmops cache gc``."""
    with suppress(OSError):
        (directory / MANIFEST).touch()
