"""Adapters at rest: what a PEFT directory must hold, and a cache addressed by content.

A version's own part is ``adapter/``, and ``tokenizer/`` if its tokenizer, chat template or
generation configuration differs from the base's. One digest covers both.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llmops.errors import IntegrityError, NotFoundError
from llmops.files import digest, home
from llmops.files.staging import staging
from llmops.models import safety
from llmops.models.safety import Shapes
from llmops.progress import say
from llmops.store import artifacts

ADAPTER_FOLDER = "adapter"
TOKENIZER_FOLDER = "tokenizer"
CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"


def check(directory: Path) -> dict[str, Any]:
    """The adapter's configuration as written, once its files are found to be safe and whole.

    Raises:
        NotFoundError: A file is missing.
        UsageError: A pickle file.
        IntegrityError: The configuration or the tensor file is damaged, or a weight is not finite.
    """
    safety.check_code(directory)
    for name in (CONFIG, WEIGHTS):
        if not (directory / name).is_file():
            raise NotFoundError(
                f"{directory}: no {name}; a PEFT adapter directory has {CONFIG} and {WEIGHTS}"
            )
    config = safety.read_json(directory / CONFIG)
    safety.check_finite(directory / WEIGHTS, only_floats=True)
    return config


def check_tensors(directory: Path, expected: Shapes, base: str) -> None:
    """Compares an adapter's tensors with those that PEFT makes for its configuration.

    Args:
        directory: The adapter; only the header of its file is read.
        expected: Names, as a file has them, and shapes.
        base: What an error calls the base model.

    Raises:
        IntegrityError: A tensor is missing, is one too many, or has another shape.
    """
    stored = safety.shapes(directory / WEIGHTS)
    reshaped = {key for key in set(stored) & set(expected) if stored[key] != expected[key]}
    said = [
        f"{len(keys)} {what}, such as {min(keys)}"
        for keys, what in (
            (set(expected) - set(stored), "tensors that the model expects are not in the file"),
            (set(stored) - set(expected), "tensors of the file have no place in the model"),
        )
        if keys
    ]
    if reshaped:
        key = min(reshaped)
        said.append(
            f"{len(reshaped)} tensors have another shape, such as {key}: {list(stored[key])} in the"
            f" file, {list(expected[key])} in the model"
        )
    if said:
        raise IntegrityError(
            f"{directory}: the adapter does not fit its base {base}: {'; '.join(said)}",
            next_command="name the base and the adapter_config.json that it was trained with",
        )


def changes_base(config: Mapping[str, Any]) -> bool:
    """Whether PEFT changes the base's weights to initialise such an adapter (PiSSA and others)."""
    init = config.get("init_lora_weights")
    return isinstance(init, str) and init.lower() not in ("gaussian", "eva", "orthogonal", "mica")


def content_digest(version_dir: Path) -> str:
    """Digest of what a version adds: its adapter, and its tokenizer if it has one."""
    files = {path.name: digest.of_file(path) for path in _files(version_dir / ADAPTER_FOLDER)}
    own = _files(version_dir / TOKENIZER_FOLDER)
    files.update({f"{TOKENIZER_FOLDER}/{path.name}": digest.of_file(path) for path in own})
    return digest.of_record(files)


def fetch(uri: str, expected: str) -> Path:
    """The directory with ``adapter/`` and perhaps ``tokenizer/``: downloaded once, always checked.

    A copy of ours that is damaged, or that an older llmops laid out otherwise, is fetched anew.

    Raises:
        IntegrityError: The bytes in the store are not those of the digest.
    """
    target = home.folder("adapters") / expected
    if target.is_dir():
        try:
            verify(target, expected, str(target))
        except IntegrityError as error:
            say(f"warning: {error.message}; fetching {uri} again")
            shutil.rmtree(target, ignore_errors=True)
    if not target.is_dir():
        _download(uri, expected, target)
    target.touch()  # in use, for `llmops cache gc`
    return target


def _download(uri: str, expected: str, target: Path) -> None:
    with staging() as folder:
        downloaded = Path(artifacts.download(uri, str(folder)))
        staged = folder / "version"
        staged.mkdir()
        for name in (ADAPTER_FOLDER, TOKENIZER_FOLDER):
            if (downloaded / name).is_dir():
                (downloaded / name).rename(staged / name)
        verify(staged, expected, uri)
        try:
            staged.rename(target)
        except OSError:
            if not target.is_dir():  # else another process was first: the same bytes
                raise


def verify(version_dir: Path, expected: str, where: str) -> None:
    """Reads a version's own part.

    Raises:
        IntegrityError: Other bytes than recorded, or links that lead out.
    """
    safety.check_inside(version_dir)
    found = content_digest(version_dir)
    if found != expected:
        raise IntegrityError(
            f"{where}: adapter digest {found[:16]}… differs from the recorded {expected[:16]}…"
        )


def tokenizer_of(version_dir: Path) -> Path | None:
    """The version's own tokenizer, ``None`` if it uses its base's."""
    folder = version_dir / TOKENIZER_FOLDER
    return folder if folder.is_dir() else None


def _files(folder: Path) -> list[Path]:
    return digest.model_files(folder) if folder.is_dir() else []
