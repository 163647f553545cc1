"""Content digests: models, adapters, suites and records are identified by their bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

CHUNK = 1 << 20

# Only these files decide what a checkpoint computes; a README beside them does not count.
MODEL_SUFFIXES = (".json", ".safetensors", ".jinja", ".model", ".txt")


def of_bytes(data: bytes) -> str:
    """Return the SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def of_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    sha = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            sha.update(chunk)
    return sha.hexdigest()


def canonical(record: object) -> str:
    """Return a record's canonical JSON: sorted keys, no spaces, no NaN, ASCII only.

    Raises:
        ValueError: The record holds NaN or an infinity, which JSON cannot represent.
    """
    return json.dumps(record, sort_keys=True, separators=(",", ":"), allow_nan=False, default=str)


def of_record(record: object) -> str:
    """Return the SHA-256 of a record's canonical JSON.

    Raises:
        ValueError: The record holds NaN or an infinity, which JSON cannot represent.
    """
    return of_bytes(canonical(record).encode())


def model_files(directory: Path) -> list[Path]:
    """Return the files that define a model or an adapter, sorted by name."""
    return sorted(
        path
        for path in directory.iterdir()
        if path.is_file() and path.suffix in MODEL_SUFFIXES and not path.name.startswith(".")
    )


def of_files(files: Iterable[Path]) -> str:
    """Return one digest of the names and contents of files, independent of their order."""
    return of_record({path.name: of_file(path) for path in files})


def of_model(directory: Path) -> str:
    """Return the digest of a model or adapter directory: configuration, weights, tokenizer, template."""
    return of_files(model_files(directory))
