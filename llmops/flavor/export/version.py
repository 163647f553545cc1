"""A version as files for other programs: the directory appears whole, or not at all.

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
        uri: The version, aliases resolved.
        base_uri: Its base model, or the version itself if it is a full model.
        digest: Of the directory's files; of the one file for ``gguf``.
        size: Bytes of all files.
        difference: Largest difference between the logits of the version and those of the merged
            files, read back, over ``merged.PROBE_TOKENS`` tokens; ``None`` if the weights were copied.
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
    """Writes a version to a directory.

    Args:
        uri: See ``engine.resolve.resolve``.
        target: Directory to make; may exist if it is empty.
        format: ``merged``, ``adapter`` or ``gguf``.
        dtype: Of the weights; ``None`` is float32 for a merged adapter, float16 for ``gguf``, and
            leaves those of a full model as they are. An adapter's are never changed.
        converter: Command that runs llama.cpp's converter, see ``flavor.gguf.find``.

    Raises:
        UsageError: The target is taken, the format does not fit the version, or an option the
            format.
        NotFoundError: No such version, or no folder for the target.
        IntegrityError: Recorded bytes differ, or the files do not answer like the version.
    """
    path = Path(target).expanduser()
    _check_options(format, dtype, converter)
    _check_target(path)
    command = gguf.find(converter) if format == "gguf" else []
    files = resolve(uri)
    difference = None
    with _whole(path) as folder:
        if format == "adapter":
            _write_adapter(files, folder)
        elif format == "merged":
            difference = merged.write(files, folder, dtype)
        else:
            difference = _write_gguf(
                files, folder, command, dtype or "float16", path.absolute().name
            )
        found = digest.of_file(folder / gguf.FILE) if format == "gguf" else digest.of_model(folder)
        size = sum(file.stat().st_size for file in folder.iterdir())
    return Export(files.uri, files.base.uri, format, path, found, size, difference)


def _check_options(format: str, dtype: str | None, converter: str | None) -> None:
    if format not in FORMATS:
        raise UsageError(f"export format {format!r}; allowed: {', '.join(FORMATS)}")
    if dtype is not None and dtype not in DTYPES:
        raise UsageError(f"export dtype {dtype!r}; allowed: {', '.join(DTYPES)}")
    if dtype is not None and format == "adapter":
        raise UsageError(f"export dtype {dtype!r}: an adapter's weights are copied as they are")
    if converter is not None and format != "gguf":
        raise UsageError(f"a converter is for the format 'gguf', not for {format!r}")


def _check_target(target: Path) -> None:
    if target.is_dir() and not any(target.iterdir()):
        return
    if target.exists() or target.is_symlink():
        what = "a directory that is not empty" if target.is_dir() else "not a directory"
        raise UsageError(
            f"{target}: exists and is {what}; an export overwrites nothing",
            next_command=f"name another directory, or remove {shlex.quote(str(target))}",
        )
    if not target.absolute().parent.is_dir():
        raise NotFoundError(
            f"{target}: there is no folder {target.parent}",
            next_command=f"mkdir -p {shlex.quote(str(target.parent))}",
        )


@contextmanager
def _whole(target: Path) -> Iterator[Path]:
    """A folder beside the target that becomes the target at the end, or vanishes.

    What a killed process left there is removed first: the kernel dropped its lock.
    """
    place = target.absolute()
    staged = place.with_name(f".{place.name}.exporting")
    lock = FileLock(f"{staged}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise UsageError(f"{target}: another process exports there at this moment") from error
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
    """The adapter's own weights; its configuration names the base by something that loads."""
    instead = f"llmops export {files.uri} DIRECTORY --format merged"
    if files.adapter_dir is None:
        raise UsageError(f"{files.uri}: a full model, it has no adapter", next_command=instead)
    config = safety.read_json(files.adapter_dir / adapters.CONFIG)
    reason = vllm_limits.unservable(config)
    if reason is not None:
        raise UsageError(f"{files.uri}: vLLM cannot serve it: {reason}", next_command=instead)
    config["base_model_name_or_path"], config["revision"] = _reference(files.base)
    merged.write_json(folder / adapters.CONFIG, config)
    shutil.copyfile(files.adapter_dir / adapters.WEIGHTS, folder / adapters.WEIGHTS)
    merged.copy_tokenizer(files, folder)


def _reference(base: BaseModel) -> tuple[str, str | None]:
    """What loads a base: its hub id and revision, else its directory on this machine."""
    hub = HUB.fullmatch(base.origin or "")
    return (hub["id"], hub["revision"]) if hub else (str(base.directory), None)


def _write_gguf(
    files: ModelFiles, folder: Path, command: list[str], dtype: str, name: str
) -> float | None:
    """Merged in float32 first; the converter rounds."""
    whole = folder / "merged"
    whole.mkdir()
    difference = merged.write(files, whole, None if files.adapter_dir is None else "float32")
    say(f"export: converting to GGUF, {dtype}")
    gguf.convert(command, whole, folder / gguf.FILE, dtype=dtype, name=name)
    shutil.rmtree(whole)
    return difference
