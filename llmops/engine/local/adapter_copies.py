"""Load an adapter by copying the structure of one in memory that has the same configuration.

PEFT builds every adapter from scratch: two million Python calls for 210 layers. A copy takes over
the finished structure layer by layer and reads only the tensors. Its outputs are bitwise identical
to those of an adapter that PEFT has loaded.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmops.models import compat
from llmops.models.safety import Shapes


@dataclass(frozen=True)
class Original:
    """A plain LoRA adapter in memory that others can be copied from.

    Attributes:
        name: Its name in the model.
        settings: The settings that determine its computation; a copy has the same.
        tensors: The shapes of its tensors by their names in the file.
        layers: The layers that it adapts, by their paths in the model.
    """

    name: str
    settings: Mapping[str, Any]
    tensors: Shapes
    layers: Mapping[str, Any]


def original(model: Any, name: str, settings: Mapping[str, Any], tensors: Shapes) -> Original:
    """Describe an adapter that PEFT has loaded, so that others can be copied from it.

    Args:
        model: The ``PeftModel`` that holds the adapter.
        name: The adapter's name in the model.
        settings: From ``peft_config.plain_settings``.
        tensors: The shapes of its tensors by their names in the file.
    """
    from peft.tuners.lora import LoraLayer

    layers = {
        path: module
        for path, module in model.named_modules()
        if isinstance(module, LoraLayer) and name in module.r
    }
    return Original(name, settings, tensors, layers)


def attach(source: Original, name: str, weights: Path) -> None:
    """Add an adapter that differs from one in memory only in its weights.

    Args:
        source: The adapter to copy.
        name: Name of the new adapter in the model.
        weights: A safetensors file with tensors of the same names and shapes as the source.
    """
    from safetensors import safe_open

    with safe_open(weights, framework="pt") as stored:
        for path, layer in source.layers.items():
            for attribute in layer.other_param_names:
                _share(getattr(layer, attribute), source.name, name)
            for attribute in layer.adapter_layer_names:
                _copy(getattr(layer, attribute), source.name, name, f"{path}.{attribute}", stored)


def _share(entries: Any, source: str, name: str) -> None:
    """Give the new adapter the same rank, scaling or dropout as the source."""
    if source in entries:
        entries[name] = entries[source]


def _copy(entries: Any, source: str, name: str, path: str, stored: Any) -> None:
    """Copy a matrix (a module, or a parameter of an embedding) with the weights of the new file."""
    import torch

    if source not in entries:
        return
    matrix = entries[source]
    if isinstance(matrix, torch.nn.Parameter):
        entries[name] = _like(matrix, stored.get_tensor(path))
        return
    module = copy.copy(matrix)  # a deep copy would also copy the weights, which are replaced
    weight = _like(matrix.weight, stored.get_tensor(f"{path}.weight"))
    compat.replace_weight(module, weight)
    entries[name] = module


def _like(parameter: Any, tensor: Any) -> Any:
    """Copy a tensor to the device and dtype of a parameter.

    The tensor itself is a view of the file, which may change.
    """
    import torch

    tensor = tensor.to(device=parameter.device, dtype=parameter.dtype, copy=True)
    return torch.nn.Parameter(tensor, requires_grad=False)
