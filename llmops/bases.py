"""Base models at rest: a cache on this machine, addressed by content.

``LLMOPS_HOME/models/<digest>/`` appears by an atomic rename, so that a reader sees a whole
model or none. A version pins its base by digest; where the bytes come from does not matter.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from llmops import digest, home, registry
from llmops.errors import IntegrityError, NotFoundError, UsageError
from llmops.records import BaseModel

MODEL_FOLDER = "model"
"""Folder of a logged base model that holds its files."""
UNSAFE_SUFFIXES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")


def cache_dir(base_digest: str) -> Path:
    """Where the files of a base with this digest lie, if they are here."""
    return home.folder("models") / base_digest


@contextmanager
def staging() -> Iterator[Path]:
    """An empty folder on the cache's own disk, removed at the end."""
    path = Path(tempfile.mkdtemp(prefix=".staging-", dir=home.folder("models")))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def keep(staged: Path) -> tuple[str, Path]:
    """Moves a staged model into the cache.

    Args:
        staged: A folder inside ``staging()`` that holds one whole model.

    Returns:
        Its digest and its place in the cache.
    """
    check_safe(staged)
    base_digest = digest.of_model(staged)
    target = cache_dir(base_digest)
    if not target.exists():
        _write_manifest(staged)
        try:
            staged.rename(target)
        except OSError:
            if not target.exists():  # else another process was first: the same bytes
                raise
    return base_digest, target


def check_safe(directory: Path) -> None:
    """Refuses what cannot be a safetensors checkpoint.

    Raises:
        NotFoundError: No ``config.json`` or no safetensors file.
        UsageError: A pickle file, which could execute code, or code that config.json names.
    """
    config = directory / "config.json"
    if not config.is_file() or not any(directory.glob("*.safetensors")):
        raise NotFoundError(
            f"{directory}: not a model directory: config.json and *.safetensors are needed",
            next_command="llmops base add --help",
        )
    unsafe = sorted(p.name for p in directory.iterdir() if p.suffix in UNSAFE_SUFFIXES)
    if unsafe:
        raise UsageError(
            f"{directory}: {', '.join(unsafe)} may hold pickled code; only safetensors are read",
            next_command="save the model with `save_pretrained(…)`, which writes safetensors",
        )
    if "auto_map" in json.loads(config.read_text(encoding="utf-8")):
        raise UsageError(f"{config}: needs remote code (auto_map), which is never executed")


def fetch(base_digest: str) -> BaseModel:
    """A base by digest: from the cache, else from the registry.

    Raises:
        NotFoundError: Neither has it.
        IntegrityError: The registry's bytes have another digest.
    """
    version = registry.find_base(base_digest=base_digest)
    directory = cache_dir(base_digest)
    if directory.is_dir():
        verify(directory, base_digest)
    elif version is None:
        raise NotFoundError(
            f"base model {base_digest[:12]}…: neither in {home.folder('models')} nor in the registry",
            next_command="llmops base add DIRECTORY|HUB_ID",
        )
    else:
        _download(version, base_digest)
    name = version.name if version is not None else base_digest[:12]
    uri = (
        f"models:/{version.name}/{version.version}"
        if version is not None
        else f"cache:{base_digest}"
    )
    return BaseModel(name=name, uri=uri, digest=base_digest, directory=directory)


def find(name: str) -> BaseModel | None:
    """The registered base of this name, fetched; ``None`` if no base has the name."""
    version = registry.find_base(name=name)
    return None if version is None else fetch(version.tags[registry.BASE_DIGEST])


def verify(directory: Path, base_digest: str) -> None:
    """Checks a cached model: sizes and times against its manifest, all bytes if those changed.

    Raises:
        IntegrityError: The bytes are not those of the digest.
    """
    manifest = directory / ".manifest.json"
    with suppress(FileNotFoundError, ValueError):  # a torn manifest: its writer was killed
        if json.loads(manifest.read_text(encoding="utf-8")) == _stamp(directory):
            return
    found = digest.of_model(directory)
    if found != base_digest:
        raise IntegrityError(
            f"{directory}: expected digest {base_digest[:16]}…, found {found[:16]}…: the files changed",
            next_command=f"rm -r {directory}, then the same command again",
        )
    _write_manifest(directory)


def _download(version: object, base_digest: str) -> None:
    uri = f"models:/{version.name}/{version.version}"  # type: ignore[attr-defined]
    with staging() as folder:
        staged = Path(registry.download(uri, str(folder))) / MODEL_FOLDER
        found = digest.of_model(staged)
        if found != base_digest:
            raise IntegrityError(
                f"{uri}: expected digest {base_digest[:16]}…, the registry holds {found[:16]}…"
            )
        keep(staged)


def _stamp(directory: Path) -> dict[str, list[int]]:
    """Size and modification time of each file: what a change of bytes also changes."""
    return {
        path.name: [path.stat().st_size, path.stat().st_mtime_ns]
        for path in digest.model_files(directory)
    }


def _write_manifest(directory: Path) -> None:
    (directory / ".manifest.json").write_text(json.dumps(_stamp(directory)))
