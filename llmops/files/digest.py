"""Content digests: the identity of models, adapters, suites and records is their bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

CHUNK = 1 << 20

# What a checkpoint means is in these files; a README beside them changes nothing.
MODEL_SUFFIXES = (".json", ".safetensors", ".jinja", ".model", ".txt")


def of_bytes(data: bytes) -> str:
    """SHA-256 of bytes, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def of_file(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    sha = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            sha.update(chunk)
    return sha.hexdigest()


def of_record(record: object) -> str:
    """SHA-256 of canonical JSON: sorted keys, no spaces, no NaN.

    Raises:
        ValueError: The record holds NaN or an infinity, which JSON cannot say.
    """
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), allow_nan=False, default=str)
    return of_bytes(text.encode())


def model_files(directory: Path) -> list[Path]:
    """The files of a model or adapter directory that define it, sorted by name."""
    return sorted(
        path
        for path in directory.iterdir()
        if path.is_file() and path.suffix in MODEL_SUFFIXES and not path.name.startswith(".")
    )


def of_files(files: Iterable[Path]) -> str:
    """One digest for a set of files: names and contents, independent of their order."""
    return of_record({path.name: of_file(path) for path in files})


def of_model(directory: Path) -> str:
    """Digest of a model or adapter directory: configuration, weights, tokenizer, template."""
    return of_files(model_files(directory))
