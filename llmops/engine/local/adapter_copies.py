"""A further adapter with the configuration of one that is in memory: only its tensors are new.

PEFT builds each adapter as if it were the first: two million Python calls for 210 layers. A twin
copies the finished structure layer by layer; what it computes is bit for bit what PEFT computes.
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
    """A plain LoRA adapter in memory.

    Attributes:
        name: In the model.
        settings: What decides how it computes; a twin has the same.
        tensors: Names, as in its file, and shapes.
        layers: Those that it adapts, by their path in the model.
    """

    name: str
    settings: Mapping[str, Any]
    tensors: Shapes
    layers: Mapping[str, Any]


def original(model: Any, name: str, settings: Mapping[str, Any], tensors: Shapes) -> Original:
    """Describes an adapter that PEFT has loaded, for twins to come."""
    from peft.tuners.lora import LoraLayer

    layers = {
        path: module
        for path, module in model.named_modules()
        if isinstance(module, LoraLayer) and name in module.r
    }
    return Original(name, settings, tensors, layers)


def attach(twin: Original, name: str, weights: Path) -> None:
    """Adds an adapter that differs from another one in nothing but its weights.

    Args:
        twin: The other one.
        name: Of the new adapter.
        weights: safetensors file with exactly the twin's tensors.
    """
    from safetensors import safe_open

    with safe_open(weights, framework="pt") as stored:
        for path, layer in twin.layers.items():
            for attribute in layer.other_param_names:
                _share(getattr(layer, attribute), twin.name, name)
            for attribute in layer.adapter_layer_names:
                _fill(getattr(layer, attribute), twin.name, name, f"{path}.{attribute}", stored)


def _share(entries: Any, twin: str, name: str) -> None:
    """Rank, scaling, dropout: the same for both."""
    if twin in entries:
        entries[name] = entries[twin]


def _fill(entries: Any, twin: str, name: str, path: str, stored: Any) -> None:
    """A matrix of the twin's kind (a module, or a parameter of an embedding) with other numbers."""
    import torch

    if twin not in entries:
        return
    model = entries[twin]
    if isinstance(model, torch.nn.Parameter):
        entries[name] = _like(model, stored.get_tensor(path))
        return
    module = copy.copy(model)  # a deep copy would copy the numbers that are replaced
    weight = _like(model.weight, stored.get_tensor(f"{path}.weight"))
    compat.replace_weight(module, weight)
    entries[name] = module


def _like(parameter: Any, tensor: Any) -> Any:
    """A copy: the tensor itself is a view of the file, which may change."""
    import torch

    tensor = tensor.to(device=parameter.device, dtype=parameter.dtype, copy=True)
    return torch.nn.Parameter(tensor, requires_grad=False)
