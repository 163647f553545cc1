"""Export of a version: the directory appears complete or not at all.

``merged`` is a Hugging Face directory, ``adapter`` a PEFT directory for vLLM, ``gguf`` a file for
llama.cpp and Ollama.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from llmops.errors import NotFoundError, UsageError
from llmops.files import digest
from llmops.flavor.export import gguf, merged
from llmops.models import adapters, safety, vllm_limits
from llmops.models.resolve import resolve
from llmops.progress import say
from llmops.records import BaseModel, ModelFiles

FORMATS = ("merged", "adapter", "gguf")
DTYPES = ("float32", "bfloat16", "float16")
HUB = re.compile(r"hub:(?P<id>[^@]+)@(?P<revision>.+)")


@dataclass(frozen=True)
class Export:
    """A finished export.

    Attributes:
        uri: The version, with its alias resolved.
        base_uri: Its base model, or the version itself if it is a full model.
        format: ``merged``, ``adapter`` or ``gguf``.
        directory: Where the files are.
        digest: SHA-256 over the directory's files; for ``gguf``, of its one file.
        size: Size of all files, in bytes.
        difference: Largest difference between the logits of the version and of the merged files,
            read back, over ``merged.PROBE_TOKENS`` tokens; ``None`` if the weights were copied.
    """

    uri: str
    base_uri: str
    format: str
    directory: Path
    digest: str
    size: int
    difference: float | None


def export(
    uri: str,
    target: str | Path,
    *,
    format: str = "merged",
    dtype: str | None = None,
    converter: str | None = None,
) -> Export:
    """Write a version to a directory.

    Args:
        uri: See ``llmops.models.resolve``.
        target: Directory to create; may exist if it is empty.
        format: ``merged``, ``adapter`` or ``gguf``.
        dtype: ``float32``, ``bfloat16`` or ``float16``; ``None`` is float32 for a merged adapter,
            float16 for ``gguf``, and otherwise leaves the weights unchanged.
        converter: llama.cpp's converter; by default ``llama-convert-hf-to-gguf``.

    Returns:
        Where the files are, with digest, size and how closely they answer like the version.

    Raises:
        UsageError: The target is not empty, or the format or an option does not apply.
        NotFoundError: There is no such version, or the target's parent folder does not exist.
        IntegrityError: Recorded bytes differ, or the files do not answer like the version.
        LlmopsError: The files cannot be written, or the converter failed.

    Example:
        from llmops.flavor.export import export

        done = export("models:/quickstart@champion", "champion", dtype="bfloat16")
    """
    path = Path(target).expanduser()
    _check_options(format, dtype, converter)
    _check_target(path)
    command = gguf.find(converter) if format == "gguf" else []
    files = resolve(uri)
    difference = None
    with _complete(path) as folder:
        if format == "adapter":
            _write_adapter(files, folder)
        elif format == "merged":
            difference = merged.write(files, folder, dtype)
        else:
            name = path.absolute().name
            difference = _write_gguf(files, folder, command, dtype or "float16", name)
        size = sum(file.stat().st_size for file in folder.iterdir())
        return Export(
            files.uri, files.base.uri, format, path, _digest(folder, format), size, difference
        )


def _digest(folder: Path, format: str) -> str:
    return digest.of_file(folder / gguf.FILE) if format == "gguf" else digest.of_model(folder)


def _check_options(format: str, dtype: str | None, converter: str | None) -> None:
    if format not in FORMATS:
        raise UsageError(f"export format {format!r}; allowed: {', '.join(FORMATS)}")
    if dtype is not None and dtype not in DTYPES:
        raise UsageError(f"export dtype {dtype!r}; allowed: {', '.join(DTYPES)}")
    if dtype is not None and format == "adapter":
        raise UsageError(f"export dtype {dtype!r}: the weights of an adapter are copied unchanged")
    if converter is not None and format != "gguf":
        raise UsageError(f"a converter is for the format 'gguf', not for {format!r}")


def _check_target(target: Path) -> None:
    if target.is_dir() and not any(target.iterdir()):
        return
    if target.exists() or target.is_symlink():
        what = "a directory that is not empty" if target.is_dir() else "not a directory"
        raise UsageError(
            f"{target}: exists and is {what}; an export never overwrites files",
            next_command=f"name another directory, or remove {shlex.quote(str(target))}",
        )
    if not target.absolute().parent.is_dir():
        raise NotFoundError(
            f"{target}: there is no folder {target.parent}",
            next_command=f"mkdir -p {shlex.quote(str(target.parent))}",
        )


@contextmanager
def _complete(target: Path) -> Iterator[Path]:
    """Yield a folder beside the target; rename it to the target at the end, or remove it.

    What a killed process left there is removed first: the kernel released its lock.
    """
    place = target.absolute()
    staged = place.with_name(f".{place.name}.exporting")
    lock = FileLock(f"{staged}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise UsageError(f"{target}: another process is exporting there") from error
    try:
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir()
        yield staged
        os.rename(staged, place)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def _write_adapter(files: ModelFiles, folder: Path) -> None:
    """Write the adapter's weights, and a configuration that names its base so that it loads."""
    instead = f"llmops export {files.uri} DIRECTORY --format merged"
    if files.adapter_dir is None:
        raise UsageError(f"{files.uri}: is a full model and has no adapter", next_command=instead)
    config = safety.read_json(files.adapter_dir / adapters.CONFIG)
    reason = vllm_limits.unservable(config)
    if reason is not None:
        raise UsageError(f"{files.uri}: vLLM cannot serve it: {reason}", next_command=instead)
    config["base_model_name_or_path"], config["revision"] = _reference(files.base)
    merged.write_json(folder / adapters.CONFIG, config)
    shutil.copyfile(files.adapter_dir / adapters.WEIGHTS, folder / adapters.WEIGHTS)
    merged.copy_tokenizer(files, folder)


def _reference(base: BaseModel) -> tuple[str, str | None]:
    """Return a base's hub id and revision, else its directory on this machine."""
    hub = HUB.fullmatch(base.origin or "")
    return (hub["id"], hub["revision"]) if hub else (str(base.directory), None)


def _write_gguf(
    files: ModelFiles, folder: Path, command: list[str], dtype: str, name: str
) -> float | None:
    """Merge in float32, then let the converter round."""
    whole = folder / "merged"
    whole.mkdir()
    difference = merged.write(files, whole, None if files.adapter_dir is None else "float32")
    say(f"export: converting to GGUF, {dtype}")
    gguf.convert(command, whole, folder / gguf.FILE, dtype=dtype, name=name)
    shutil.rmtree(whole)
    return difference
