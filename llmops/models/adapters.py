"""Stored adapters: what a PEFT directory must hold, and a cache addressed by content.

A version stores ``adapter/``, and ``tokenizer/`` if its tokenizer, chat template or generation
configuration differs from that of the base. One digest covers both.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
    """Check that an adapter's files are safe and complete; return its configuration as stored.

    Raises:
        NotFoundError: A file is missing.
        UsageError: There is a pickle file.
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


def check_tensors(directory: Path, stored: Shapes, expected: Shapes, base: str) -> None:
    """Compare an adapter's tensors with those that PEFT creates for its configuration.

    Args:
        directory: The adapter, for an error.
        stored: Shapes by tensor name, see ``adapter_tensors.as_loaded``.
        expected: Shapes by tensor name, named as in a file.
        base: Name of the base model in an error.

    Raises:
        IntegrityError: A tensor is missing, unexpected, or of another shape.
    """
    reshaped = {key for key in set(stored) & set(expected) if stored[key] != expected[key]}
    problems = [
        f"{len(keys)} {what}, such as {min(keys)}"
        for keys, what in (
            (set(expected) - set(stored), "tensors that the model expects are not in the file"),
            (set(stored) - set(expected), "tensors of the file have no place in the model"),
        )
        if keys
    ]
    if reshaped:
        key = min(reshaped)
        problems.append(
            f"{len(reshaped)} tensors have another shape, such as {key}: {list(stored[key])} in the"
            f" file, {list(expected[key])} in the model"
        )
    if problems:
        raise IntegrityError(
            f"{directory}: the adapter does not fit its base {base}: {'; '.join(problems)}",
            next_command="name the base and the adapter_config.json that it was trained with",
        )


def changes_base(config: Mapping[str, Any]) -> bool:
    """Return whether PEFT initialises such an adapter by changing its base (PiSSA and others)."""
    init = config.get("init_lora_weights")
    return isinstance(init, str) and init.lower() not in ("gaussian", "eva", "orthogonal", "mica")


def reason_alone(config: Mapping[str, Any]) -> str | None:
    """Return the setting by which an adapter changes weights that other versions would share.

    Args:
        config: Content of the adapter's ``adapter_config.json``.

    Returns:
        The setting with its value; ``None`` if the base stays as it is.
    """
    if changes_base(config):
        return f"init_lora_weights={config['init_lora_weights']!r}"
    if config.get("bias", "none") != "none":
        return f"bias={config['bias']!r}"
    return next((name for name in ("layer_replication", "kasa_config") if config.get(name)), None)


def content_digest(version_dir: Path) -> str:
    """Return the digest of what a version adds: its adapter, and its tokenizer if it has one."""
    return parts_digest(version_dir / ADAPTER_FOLDER, version_dir / TOKENIZER_FOLDER)


def parts_digest(adapter_dir: Path, tokenizer_dir: Path | None) -> str:
    """Return the digest of an adapter and a tokenizer that lie in any two folders."""
    files = {path.name: digest.of_file(path) for path in _files(adapter_dir)}
    own = _files(tokenizer_dir) if tokenizer_dir is not None else []
    files.update({f"{TOKENIZER_FOLDER}/{path.name}": digest.of_file(path) for path in own})
    return digest.of_record(files)


def fetch(uri: str, expected: str) -> Path:
    """Return a version's directory in the cache: downloaded once, checked each time.

    A cached copy that is damaged, or laid out by an older llmops, is downloaded again.

    Args:
        uri: Where the store has it.
        expected: Its ``content_digest``.

    Returns:
        A directory with ``adapter/``, and ``tokenizer/`` if the version has its own.

    Raises:
        IntegrityError: The bytes in the store have another digest.
        StoreError: The store refuses or does not answer.
    """
    target = home.folder("adapters") / expected
    if target.is_dir():
        try:
            verify(target, expected, str(target))
        except IntegrityError as error:
            say(f"warning: {error.message}; downloading {uri} again")
            shutil.rmtree(target, ignore_errors=True)
    if not target.is_dir():
        _download(uri, expected, target)
    target.touch()  # in use, for `llmops cache gc`
    return target


def verify_in_store(uri: str, expected: str) -> None:
    """Download what a version adds from the store, whatever is cached, and check every byte.

    Args:
        uri: Where the store has it.
        expected: Its ``content_digest``.

    Raises:
        IntegrityError: The bytes in the store have another digest.
        StoreError: The store refuses or does not answer.
    """
    with _from_store(uri, expected):
        pass


@contextmanager
def _from_store(uri: str, expected: str) -> Iterator[Path]:
    """Yield a folder with what a version adds, downloaded from the store and checked."""
    with staging() as folder:
        downloaded = Path(artifacts.download(uri, str(folder)))
        staged = folder / "version"
        staged.mkdir()
        for name in (ADAPTER_FOLDER, TOKENIZER_FOLDER):
            if (downloaded / name).is_dir():
                (downloaded / name).rename(staged / name)
        verify(staged, expected, uri)
        yield staged


def _download(uri: str, expected: str, target: Path) -> None:
    with _from_store(uri, expected) as staged:
        try:
            staged.rename(target)
        except OSError:
            if not target.is_dir():  # else another process was first, with the same bytes
                raise


def verify(version_dir: Path, expected: str, where: str) -> None:
    """Check the bytes of a version's directory against its digest.

    Args:
        version_dir: A directory with ``adapter/``, and perhaps ``tokenizer/``.
        expected: The recorded ``content_digest``.
        where: Name of the directory in an error.

    Raises:
        IntegrityError: The bytes differ, or a link leads out of the directory.
    """
    safety.check_inside(version_dir)
    actual = content_digest(version_dir)
    if actual != expected:
        raise IntegrityError(
            f"{where}: adapter digest {actual[:16]}… differs from the recorded {expected[:16]}…"
        )


def tokenizer_of(version_dir: Path) -> Path | None:
    """Return the folder of a version's own tokenizer, ``None`` if it uses that of its base."""
    folder = version_dir / TOKENIZER_FOLDER
    return folder if folder.is_dir() else None


def _files(folder: Path) -> list[Path]:
    return digest.model_files(folder) if folder.is_dir() else []
