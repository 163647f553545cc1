"""A version as files for other programs: the directory appears whole, or not at all.

``merged`` is a Hugging Face directory, ``adapter`` a PEFT directory for vLLM, ``gguf`` a file for
llama.cpp and Ollama.

transformers 5 writes configurations that transformers 4 misreads without a word: RoPE's base
becomes 10000, and the tokenizer's class does not exist. vLLM and llama.cpp's converter run the
one or the other, so what is exported has both spellings.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from llmops import adapters, checkpoints, digest
from llmops.engine.adapters import load_adapters
from llmops.engine.loading import load_base, quiet_loading
from llmops.engine.resolve import resolve
from llmops.errors import IntegrityError, LlmopsError, NotFoundError, UsageError
from llmops.flavor import gguf
from llmops.flavor.tokenizers import FILES, SETTINGS, TEMPLATE
from llmops.progress import say
from llmops.records import BaseModel, LoadOptions, ModelFiles

FORMATS = ("merged", "adapter", "gguf")
DTYPES = ("float32", "bfloat16", "float16")
HUB = re.compile(r"hub:(?P<id>[^@]+)@(?P<revision>.+)")
PROBE_TOKENS = 32
ROUNDING = 1e-3
"""Share of the largest logit that merging in float32 may change; measured: 1e-5."""


@dataclass(frozen=True)
class Export:
    """A finished export.

    Attributes:
        uri: The version, aliases resolved.
        base_uri: Its base model, or the version itself if it is a full model.
        digest: Of the directory's files; of the one file for ``gguf``.
        size: Bytes of all files.
        difference: Largest difference between the logits of the version and those of the merged
            files, read back, over ``PROBE_TOKENS`` tokens; ``None`` if the weights were copied.
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
            difference = _write_merged(files, folder, dtype)
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
    merged = f"llmops export {files.uri} DIRECTORY --format merged"
    if files.adapter_dir is None:
        raise UsageError(f"{files.uri}: a full model, it has no adapter", next_command=merged)
    config = checkpoints.read_json(files.adapter_dir / adapters.CONFIG)
    reason = adapters.unservable(config)
    if reason is not None:
        raise UsageError(f"{files.uri}: vLLM cannot serve it: {reason}", next_command=merged)
    config["base_model_name_or_path"], config["revision"] = _reference(files.base)
    _write_json(folder / adapters.CONFIG, config)
    shutil.copyfile(files.adapter_dir / adapters.WEIGHTS, folder / adapters.WEIGHTS)
    _copy_tokenizer(files, folder)


def _reference(base: BaseModel) -> tuple[str, str | None]:
    """What loads a base: its hub id and revision, else its directory on this machine."""
    hub = HUB.fullmatch(base.origin or "")
    return (hub["id"], hub["revision"]) if hub else (str(base.directory), None)


def _write_gguf(
    files: ModelFiles, folder: Path, command: list[str], dtype: str, name: str
) -> float | None:
    """Merged in float32 first; the converter rounds."""
    merged = folder / "merged"
    merged.mkdir()
    difference = _write_merged(files, merged, None if files.adapter_dir is None else "float32")
    say(f"export: converting to GGUF, {dtype}")
    gguf.convert(command, merged, folder / gguf.FILE, dtype=dtype, name=name)
    shutil.rmtree(merged)
    return difference


def _write_merged(files: ModelFiles, folder: Path, dtype: str | None) -> float | None:
    """The whole model; returns how far its logits, read back, are from those of the version."""
    base = files.base.directory
    copied = files.adapter_dir is None and dtype is None
    expected = None if copied else _save(files, folder, dtype or "float32")
    for file in digest.model_files(base):
        weights = file.suffix == ".safetensors" or file.name.endswith(".index.json")
        if copied or not (weights or file.name == checkpoints.CONFIG):
            shutil.copyfile(file, folder / file.name)
    _copy_tokenizer(files, folder)
    _spell_config(folder / checkpoints.CONFIG, base / checkpoints.CONFIG)
    return None if expected is None else _compare(expected, folder, dtype or "float32", files.uri)


def _save(files: ModelFiles, folder: Path, dtype: str) -> Any:
    """Weights and configuration, merged in float32; returns the version's own logits."""
    import torch
    from safetensors import SafetensorError

    say("export: merging in float32" if files.adapter_dir else f"export: converting to {dtype}")
    model, expected = _merge(files)
    try:
        with quiet_loading():
            model.to(getattr(torch, dtype)).save_pretrained(folder)
    except SafetensorError as error:  # how safetensors says that a disk is full
        raise LlmopsError(
            f"{files.uri}: the weights cannot be written: {error}",
            next_command="make room there, then the same command again",
        ) from error
    for file in folder.glob("*.safetensors"):
        shutil.copymode(folder / checkpoints.CONFIG, file)  # else for the owner's eyes alone
    return expected


def _merge(files: ModelFiles) -> tuple[Any, Any]:
    """The model, and its logits before the adapter was merged into it."""
    import torch

    model = load_base(files.base.directory, LoadOptions(dtype="float32", device="cpu"))
    if files.adapter_dir is None:
        return model, _logits(model)
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    tied = head.weight is embedding.weight
    if tied:  # the adapter may change the one and not the other
        head.weight = torch.nn.Parameter(head.weight.detach().clone())
    tuned = load_adapters(model, [files])
    expected = _logits(tuned)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*(tie_word_embeddings|no longer tied)")  # see above
        model = tuned.merge_and_unload()
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    if tied and torch.equal(head.weight, embedding.weight):
        model.config.tie_word_embeddings = True
        model.tie_weights()
    return model, expected


def _logits(model: Any) -> Any:
    """Logits of a few tokens from all over the vocabulary, shape (T, vocabulary)."""
    import torch

    vocabulary = model.get_input_embeddings().weight.shape[0]
    ids = torch.linspace(0, vocabulary - 1, PROBE_TOKENS).long()[None]
    with torch.inference_mode():
        return model(input_ids=ids).logits[0]


def _compare(expected: Any, folder: Path, dtype: str, uri: str) -> float:
    say("export: reading it back")
    model = load_base(folder, LoadOptions(dtype="float32", device="cpu"))
    difference = float((_logits(model) - expected).abs().max())
    exact = dtype == "float32"
    allowed = ROUNDING * float(expected.abs().max()) if exact else float("inf")
    if not difference < allowed:  # NaN is not less than anything
        other = f"llmops serve {uri}" if exact else f"llmops export {uri} DIRECTORY --dtype float32"
        raise IntegrityError(
            f"{uri}: written in {dtype}, its logits differ by {difference:.3g} from those of the"
            f" version; allowed: less than {allowed:.3g}",
            next_command=other,
        )
    return difference


def _copy_tokenizer(files: ModelFiles, folder: Path) -> None:
    """Puts what a version has of its own over what its base has."""
    own = files.tokenizer_dir
    if own is not None:
        if any((own / name).is_file() for name in FILES):
            for name in FILES:
                (folder / name).unlink(missing_ok=True)
            _keep_template(files.base, folder)
        for file in digest.model_files(own):
            shutil.copyfile(file, folder / file.name)
    if (folder / SETTINGS).is_file():
        _spell_tokenizer(folder / SETTINGS)


def _keep_template(base: BaseModel, folder: Path) -> None:
    """A tokenizer without a template of its own is used with that of the base."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base.directory, trust_remote_code=False)
    if isinstance(tokenizer.chat_template, str):
        (folder / TEMPLATE).write_text(tokenizer.chat_template, encoding="utf-8")


def _spell_config(file: Path, base: Path) -> None:
    """Adds what transformers 4 reads: the spellings that the base had, and those of RoPE."""
    had = checkpoints.read_json(base)
    had.pop("quantization_config", None)  # of the base's weights, not of these
    config = {**had, **checkpoints.read_json(file)}
    if "dtype" in config:
        config["torch_dtype"] = config["dtype"]
    rope = config.get("rope_parameters")
    if isinstance(rope, dict) and "rope_theta" in rope:
        scaling = {key: value for key, value in rope.items() if key != "rope_theta"}
        config.setdefault("rope_theta", rope["rope_theta"])
        config.setdefault("rope_scaling", None if rope["rope_type"] == "default" else scaling)
    _write_json(file, config)


def _spell_tokenizer(file: Path) -> None:
    settings = checkpoints.read_json(file)
    if settings.get("tokenizer_class") == "TokenizersBackend":
        settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    if isinstance(settings.get("extra_special_tokens"), list):
        settings["additional_special_tokens"] = settings.pop("extra_special_tokens")
    _write_json(file, settings)


def _write_json(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
