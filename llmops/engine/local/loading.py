"""Load a base model from its directory into memory, completely or not at all.

transformers initialises missing weights at random and only logs it; here that is an error. All
``LoadOptions`` are checked before any file is read.
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
"""The ``device_map`` that puts the whole model on the CPU."""


def load_base(directory: Path, options: LoadOptions) -> Any:
    """Load the model in a directory of safetensors, ready to generate.

    Args:
        directory: Directory of verified files; code and pickles in it are never used.
        options: Precision, device, attention and quantization; ``base`` is not read here.

    Raises:
        UsageError: An option is unknown, or not supported on this machine.
        IntegrityError: Weights are missing, unexpected or of the wrong shape.
        LlmopsError: The device has too little memory.
    """
    return _load(directory, options, _arguments(options)).eval()


def check_weights(directory: Path) -> None:
    """Compare the weight files of a model with its configuration without reading the weights.

    Raises:
        IntegrityError: See ``load_base``.
    """
    _load(directory, LoadOptions(), {"dtype": "auto", "device_map": {"": "meta"}})


def _load(directory: Path, options: LoadOptions, arguments: Mapping[str, Any]) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    with quiet_loading():
        try:
            model, loading = AutoModelForCausalLM.from_pretrained(
                directory,
                **arguments,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # reported by name below
            )
        except torch.OutOfMemoryError as error:
            raise LlmopsError(
                f"{directory}: does not fit into the device's memory: {first_line(error)}",
                next_command="use a smaller dtype, quantization='4bit', or device='balanced'",
            ) from error
        except Exception as error:  # malformed values in a configuration can raise anything
            raise _refused(directory, options, error) from error
    _check_keys(directory, loading)
    return model


def _arguments(options: LoadOptions) -> dict[str, Any]:
    """Return the options as arguments of ``from_pretrained``."""
    load_options.check(options)
    place = device_map(options.device)
    dtype = torch_dtype(options.dtype, on_gpu=place != CPU)
    quantization = _quantization(options.quantization, dtype)
    if place == CPU and quantization is None:
        place = None  # a device map would add hooks to load the same weights
    return {
        "dtype": dtype,
        "device_map": place,
        "attn_implementation": options.attention,
        "quantization_config": quantization,
    }


def device_map(device: str) -> Any:
    """Return the ``device_map`` of ``from_pretrained`` for a device name.

    Args:
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``balanced``.

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
            f"device {device!r}: no such GPU; this machine has {has}",
            next_command="use device 'auto', or run `llmops doctor` to see what torch finds",
        )
    return "balanced" if device == "balanced" else {"": int(index or 0)}


def torch_dtype(name: str, *, on_gpu: bool) -> Any:
    """Return the torch dtype of a name; ``auto`` is float32 on CPU and bfloat16 on CUDA."""
    import torch

    if name == "auto":
        name = "bfloat16" if on_gpu else "float32"
    return getattr(torch, name)


def _quantization(name: str | None, dtype: Any) -> Any:
    """Return the bitsandbytes configuration; weights are quantized while they are read."""
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


def _check_keys(directory: Path, loading: dict[str, Any]) -> None:
    """Refuse a checkpoint with missing, unexpected or misshapen weights.

    Tied weights count as present.
    """
    misshapen = {
        f"{name} {list(file)}, not {list(model)}"
        for name, file, model in loading["mismatched_keys"]
    }
    for wrong, what in (
        (set(loading["missing_keys"]), "lacks weights that the model needs"),
        (set(loading["unexpected_keys"]), "has weights that the model does not use"),
        (misshapen, "has weights whose shape differs from its configuration"),
    ):
        if wrong:
            raise IntegrityError(
                f"{directory}: the checkpoint {what}: {len(wrong)}, such as {min(wrong)}",
                next_command="save the model again with `save_pretrained(…)`, then add it as a base",
            )


def _refused(directory: Path, options: LoadOptions, error: Exception) -> LlmopsError:
    """Return the error for a failed load: unsupported options, or damaged files without any."""
    reason = first_line(error)
    if options.attention is None and options.quantization is None:
        return IntegrityError(f"{directory}: cannot be loaded: {reason}")
    return UsageError(
        f"{directory}: cannot be loaded with attention={options.attention!r} and"
        f" quantization={options.quantization!r}: {reason};"
        f" allowed attention: {', '.join(ATTENTION)}",
        next_command="leave out both options, or install the package named above",
    )
