"""A version as one Hugging Face directory: the adapter merged into its base, with its tokenizer.

transformers 4 silently misreads configurations that transformers 5 writes: the base of RoPE becomes
10000, and the tokenizer class does not exist. vLLM and llama.cpp's converter run either release, so
an export uses the spellings of both.
"""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

from llmops.engine.local.adapters import load_adapters
from llmops.engine.local.loading import load_base
from llmops.errors import IntegrityError, LlmopsError, UsageError, first_line
from llmops.files import digest
from llmops.flavor.tokenizers import FILES, SETTINGS, TEMPLATE, default_template
from llmops.models import safety
from llmops.progress import quiet_loading, say
from llmops.records import BaseModel, LoadOptions, ModelFiles

PROBE_TOKENS = 32
"""Number of tokens on which the logits of version and export are compared."""
ROUNDING = 1e-3
"""Largest change of a logit by a float32 merge, as a share of the largest logit; measured: 1e-5."""


def write(files: ModelFiles, folder: Path, dtype: str | None) -> float | None:
    """Write the full model into an empty folder, and read it back.

    Args:
        files: An adapter with its base, a full model, or a bare base.
        folder: The folder.
        dtype: Type of the weights; ``None`` is float32 for an adapter, else leaves it unchanged.

    Returns:
        Largest difference of its logits from the version's; ``None`` if the weights were copied.

    Raises:
        IntegrityError: The written model does not answer like the version.
        LlmopsError: The weights cannot be written.
        UsageError: PEFT cannot merge an adapter of this kind.
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
    """Write weights and configuration, merged in float32; return the version's logits."""
    import torch
    from safetensors import SafetensorError

    say("export: merging in float32" if files.adapter_dir else f"export: converting to {dtype}")
    model, expected = _merge(files)
    try:
        with quiet_loading():
            model.to(getattr(torch, dtype)).save_pretrained(folder)
    except SafetensorError as error:  # what safetensors raises for a full disk
        raise LlmopsError(
            f"{files.uri}: the weights cannot be written: {error}",
            next_command="free disk space, then rerun",
        ) from error
    for file in folder.glob("*.safetensors"):
        shutil.copymode(
            folder / safety.CONFIG, file
        )  # safetensors makes it readable for its owner alone
    return expected


def _merge(files: ModelFiles) -> tuple[Any, Any]:
    """Return the merged model, and its logits from before the merge."""
    import torch

    model = load_base(files.base.directory, LoadOptions(dtype="float32", device="cpu"))
    if files.adapter_dir is None:
        return model, _logits(model)
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    tied = head.weight is embedding.weight
    if tied:  # the adapter may change one and not the other
        head.weight = torch.nn.Parameter(head.weight.detach().clone())
    tuned = load_adapters(model, [files])
    expected = _logits(tuned)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*(tie_word_embeddings|no longer tied)")  # see above
        model = _folded(tuned, files.uri)
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    if tied and torch.equal(head.weight, embedding.weight):
        model.config.tie_word_embeddings = True
        model.tie_weights()
    return model, expected


def _folded(tuned: Any, uri: str) -> Any:
    """Fold the adapter into the layers that it changes; some kinds have no place there."""
    try:
        return tuned.merge_and_unload()
    except (RuntimeError, ValueError, NotImplementedError) as error:
        raise UsageError(
            f"{uri}: PEFT cannot merge this adapter: {first_line(error)}",
            next_command=f"llmops export {uri} DIRECTORY --format adapter",
        ) from error


def _logits(model: Any) -> Any:
    """Return logits of ``PROBE_TOKENS`` tokens from all over the vocabulary, shape (T, vocabulary)."""
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
        instead = f"serve {uri}" if exact else f"export {uri} DIRECTORY --dtype float32"
        raise IntegrityError(
            f"{uri}: written in {dtype}, its logits differ by {difference:.3g} from those of the"
            f" version; allowed: less than {allowed:.3g}",
            next_command=f"llmops {instead}",
        )
    return difference


def copy_tokenizer(files: ModelFiles, folder: Path) -> None:
    """Copy the version's own tokenizer, template and generation configuration over its base's."""
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
    """Write the base's chat template, for a tokenizer that has no template itself."""
    template = default_template(base.directory)
    if template is not None:
        (folder / TEMPLATE).write_text(template, encoding="utf-8")


def _spell_config(file: Path, base: Path) -> None:
    """Add the spellings that transformers 4 reads: those of the base, and those of RoPE."""
    original = safety.read_json(base)
    original.pop("quantization_config", None)  # describes the base's weights, not these
    config = {**original, **safety.read_json(file)}
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
    """Write an object as JSON with sorted keys."""
    file.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
