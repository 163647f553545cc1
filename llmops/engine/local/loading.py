"""A base model from its directory into memory, whole or not at all.

transformers gives weights that a checkpoint lacks a random start and only logs it; here that is
an error. Every choice of ``LoadOptions`` is checked before anything is read.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llmops.errors import IntegrityError, LlmopsError, UsageError, first_line
from llmops.models import load_options
from llmops.models.load_options import ATTENTION
from llmops.progress import quiet_loading
from llmops.records import LoadOptions

CPU = {"": "cpu"}


def load_base(directory: Path, options: LoadOptions) -> Any:
    """The model of a directory of safetensors, ready to generate.

    Args:
        directory: Verified files; code and pickles in it are never used.
        options: Precision, place and attention; ``base`` has had its effect already.

    Raises:
        UsageError: An option is unknown, or this machine cannot do it.
        IntegrityError: Weights are missing, are too many, or have another shape.
        LlmopsError: The device has too little memory.
    """
    return _load(directory, options, _arguments(options)).eval()


def check_weights(directory: Path) -> None:
    """Compares the files of a model with its configuration; no weight is read.

    Raises:
        IntegrityError: See ``load_base``.
    """
    _load(directory, LoadOptions(), {"dtype": "auto", "device_map": {"": "meta"}})


def _load(directory: Path, options: LoadOptions, arguments: Mapping[str, Any]) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    with quiet_loading():
        try:
            model, found = AutoModelForCausalLM.from_pretrained(
                directory,
                **arguments,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # so that they are told by name, below
            )
        except torch.OutOfMemoryError as error:
            raise LlmopsError(
                f"{directory}: does not fit into the device's memory: {first_line(error)}",
                next_command="a smaller dtype, quantization='4bit', or device='balanced'",
            ) from error
        except Exception as error:  # odd values in a configuration end in any exception
            raise _refused(directory, options, error) from error
    _check_keys(directory, found)
    return model


def _arguments(options: LoadOptions) -> dict[str, Any]:
    """The options as ``from_pretrained`` takes them."""
    load_options.check(options)
    place = device_map(options.device)
    dtype = torch_dtype(options.dtype, on_gpu=place != CPU)
    quantization = _quantization(options.quantization, dtype)
    if place == CPU and quantization is None:
        place = None  # a map would load the same weights through hooks
    return {
        "dtype": dtype,
        "device_map": place,
        "attn_implementation": options.attention,
        "quantization_config": quantization,
    }


def device_map(device: str) -> Any:
    """Where the modules go, as ``from_pretrained`` takes it.

    Raises:
        UsageError: This machine has no such device.
    """
    import torch

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "cpu" or (device == "auto" and not gpus):
        return CPU
    index = device.partition(":")[2]
    if int(index or 0) >= gpus:
        has = f"{gpus} CUDA device{'s' * (gpus != 1)} and the CPU" if gpus else "only the CPU"
        raise UsageError(
            f"device {device!r} asks for a GPU that is not there: this machine has {has}",
            next_command="leave the device at `auto`, or look at `llmops doctor`",
        )
    return "balanced" if device == "balanced" else {"": int(index or 0)}


def torch_dtype(name: str, *, on_gpu: bool) -> Any:
    """The torch dtype of a name; ``auto`` is float32 on CPU and bfloat16 on CUDA."""
    import torch

    if name == "auto":
        name = "bfloat16" if on_gpu else "float32"
    return getattr(torch, name)


def _quantization(name: str | None, dtype: Any) -> Any:
    """Bitsandbytes' configuration; the weights are quantised while they are read."""
    if name is None:
        return None
    if importlib.util.find_spec("bitsandbytes") is None:
        raise UsageError(
            f"quantization {name!r} needs bitsandbytes, which is not installed",
            next_command="pip install 'mlflow-llmops[quantization]'",
        )
    from transformers import BitsAndBytesConfig

    if name == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=dtype)


def _check_keys(directory: Path, found: dict[str, Any]) -> None:
    """Nothing may have been made up, nothing left out; tied weights count as there."""
    reshaped = {
        f"{name} {list(file)}, not {list(model)}" for name, file, model in found["mismatched_keys"]
    }
    for odd, what in (
        (set(found["missing_keys"]), "lacks weights that the model needs"),
        (set(found["unexpected_keys"]), "holds weights that the model has no place for"),
        (reshaped, "holds weights of another shape than its configuration says"),
    ):
        if odd:
            raise IntegrityError(
                f"{directory}: the checkpoint {what}: {len(odd)}, such as {min(odd)}",
                next_command="save the model anew with `save_pretrained(…)` and add it as a base",
            )


def _refused(directory: Path, options: LoadOptions, error: Exception) -> LlmopsError:
    """Either the options ask for what is not installed or not possible, or the files are wrong."""
    said = first_line(error)
    if options.attention is None and options.quantization is None:
        return IntegrityError(f"{directory}: cannot be loaded: {said}")
    return UsageError(
        f"{directory}: cannot be loaded with attention={options.attention!r} and"
        f" quantization={options.quantization!r}: {said};"
        f" allowed attention: {', '.join(ATTENTION)}",
        next_command="leave both away, or install the package named above",
    )
