"""A version as one Hugging Face directory: the adapter merged into its base, the own tokenizer.

transformers 5 writes configurations that transformers 4 misreads without a word: RoPE's base
becomes 10000, and the tokenizer's class does not exist. vLLM and llama.cpp's converter run the
one or the other, so what is exported has both spellings.
"""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

from llmops.engine.local.adapters import load_adapters
from llmops.engine.local.loading import load_base
from llmops.errors import IntegrityError, LlmopsError
from llmops.files import digest
from llmops.flavor.tokenizers import FILES, SETTINGS, TEMPLATE
from llmops.models import safety
from llmops.progress import quiet_loading, say
from llmops.records import BaseModel, LoadOptions, ModelFiles

PROBE_TOKENS = 32
ROUNDING = 1e-3
"""Share of the largest logit that merging in float32 may change; measured: 1e-5."""


def write(files: ModelFiles, folder: Path, dtype: str | None) -> float | None:
    """Writes the whole model into an empty folder and reads it back.

    Args:
        files: An adapter with its base, a full model, or a bare base.
        folder: The folder.
        dtype: Of the weights; ``None`` is float32 for an adapter, and no change otherwise.

    Returns:
        How far its logits are from those of the version; ``None`` if the weights were copied.

    Raises:
        IntegrityError: It does not answer like the version.
        LlmopsError: The weights cannot be written.
    """
    base = files.base.directory
    copied = files.adapter_dir is None and dtype is None
    expected = None if copied else _save(files, folder, dtype or "float32")
    for file in digest.model_files(base):
        weights = file.suffix == ".safetensors" or file.name.endswith(".index.json")
        if copied or not (weights or file.name == safety.CONFIG):
            shutil.copyfile(file, folder / file.name)
    copy_tokenizer(files, folder)
    _spell_config(folder / safety.CONFIG, base / safety.CONFIG)
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
        shutil.copymode(folder / safety.CONFIG, file)  # else for the owner's eyes alone
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


def copy_tokenizer(files: ModelFiles, folder: Path) -> None:
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
    had = safety.read_json(base)
    had.pop("quantization_config", None)  # of the base's weights, not of these
    config = {**had, **safety.read_json(file)}
    if "dtype" in config:
        config["torch_dtype"] = config["dtype"]
    rope = config.get("rope_parameters")
    if isinstance(rope, dict) and "rope_theta" in rope:
        scaling = {key: value for key, value in rope.items() if key != "rope_theta"}
        config.setdefault("rope_theta", rope["rope_theta"])
        config.setdefault("rope_scaling", None if rope["rope_type"] == "default" else scaling)
    write_json(file, config)


def _spell_tokenizer(file: Path) -> None:
    settings = safety.read_json(file)
    if settings.get("tokenizer_class") == "TokenizersBackend":
        settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    if isinstance(settings.get("extra_special_tokens"), list):
        settings["additional_special_tokens"] = settings.pop("extra_special_tokens")
    write_json(file, settings)


def write_json(file: Path, content: dict[str, Any]) -> None:
    """Writes an object with sorted keys."""
    file.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
