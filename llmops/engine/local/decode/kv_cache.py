"""A KV cache to which rows and tokens can be added, and from which rows can be removed.

New tokens are written into spare room, without copying the old ones.

transformers' ``DynamicLayer`` concatenates old and new tokens at every step. With 64 rows of about
100 tokens of SmolLM2-135M, this took a fifth of the total time on a CPU.
"""

from __future__ import annotations

from typing import Any

import torch
import transformers
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from llmops.models import compat

ROOM = 32
"""Tokens that can be added before the cache is copied to a larger tensor."""


def cache_argument(cache: Any, version: str = transformers.__version__) -> dict[str, Any]:
    """Return a KV cache as the keyword argument of ``generate`` and ``forward``.

    transformers 5.24 calls it ``cache`` and warns of the earlier name ``past_key_values``.
    """
    major, minor = map(int, version.split(".")[:2])
    return {"cache" if (major, minor) >= (5, 24) else "past_key_values": cache}


def empty_cache(model: Any) -> Any:
    """Return an empty KV cache for a model.

    Args:
        model: A model from transformers, without PEFT around it.

    Returns:
        The cache; ``None`` if the model uses another kind of cache.
    """
    if not compat.keeps_default_cache(model):
        return None
    cache = transformers.DynamicCache(config=model.config)
    kinds = {DynamicLayer: GrowingLayer, DynamicSlidingWindowLayer: None}
    if not all(type(layer) in kinds for layer in cache.layers):
        return None
    cache.layers = [GrowingLayer() if type(one) is DynamicLayer else one for one in cache.layers]
    return cache


def select(cache: Any, rows: torch.Tensor, begin: int) -> None:
    """Keep some rows of a cache, and free the others' memory.

    Args:
        cache: From ``empty_cache``.
        rows: Indices of the rows, in their new order.
        begin: Number of first tokens to remove, which are padding in all of these rows.
    """
    cache.batch_select_indices(rows)
    for layer in cache.layers if begin else ():
        if not layer.is_initialized:  # it shares the keys of another layer
            continue
        length = layer.get_seq_length() - begin
        kept = min(length, layer.keys.shape[-2])
        layer.keys = layer.keys[..., layer.keys.shape[-2] - kept :, :]
        layer.values = layer.values[..., layer.values.shape[-2] - kept :, :]
        if layer.is_sliding:
            layer.cumulative_length = length


def add_rows(cache: Any, new: Any, places: tuple[torch.Tensor, torch.Tensor]) -> None:
    """Add the rows of another cache of the same model; shorter rows are padded in front.

    Args:
        cache: From ``empty_cache``, filled.
        new: The other one, whose memory is freed layer by layer.
        places: Indices in the joined cache of the rows of both.
    """
    for layer, other in zip(cache.layers, new.layers, strict=True):
        if not layer.is_initialized:
            continue
        layer.keys = _joined(layer.keys, other.keys, places)
        layer.values = _joined(layer.values, other.values, places)
        if layer.is_sliding:
            layer.cumulative_length = max(layer.cumulative_length, other.cumulative_length)
        other.keys = other.values = None


def _joined(a: Any, b: Any, places: tuple[torch.Tensor, torch.Tensor]) -> Any:
    """Return keys or values (B, heads, T, head size) of the rows of both."""
    length = max(a.shape[-2], b.shape[-2])
    whole = a.new_zeros((a.shape[0] + b.shape[0], a.shape[1], length, a.shape[3]))
    for rows, part in zip(places, (a, b), strict=True):
        whole[rows, :, length - part.shape[-2] :] = part
    return whole


class GrowingLayer(DynamicLayer):  # type: ignore[misc]
    """The KV cache of a full-attention layer; keys and values are (B, heads, T, head size)."""

    keys: Any
    values: Any

    def __init__(self) -> None:
        super().__init__()
        self._rooms = (_Room(), _Room())

    def update(self, key_states: Any, value_states: Any, *_: Any, **__: Any) -> tuple[Any, Any]:
        """Append keys and values, and return all; see ``DynamicLayer``."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        keys, values = self._rooms
        self.keys = keys.joined(self.keys, key_states)
        self.values = values.joined(self.values, value_states)
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep the rows of these indices and free the others' memory; see ``DynamicLayer``."""
        super().batch_select_indices(indices)
        self._rooms = (_Room(), _Room())


class _Room:
    """A tensor with spare room behind the tokens that it contains."""

    def __init__(self) -> None:
        self._whole: torch.Tensor | None = None
        self._held: torch.Tensor | None = None

    def joined(self, old: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
        """Append new tokens to old ones, in place if the old ones are the last returned tensor."""
        begin = old.shape[-2] if old.numel() else 0
        end = begin + new.shape[-2]
        whole = self._whole if old is self._held else None
        if whole is None or whole.shape[-2] < end:
            whole = new.new_empty((*new.shape[:-2], end + ROOM, new.shape[-1]))
            if begin:
                whole[..., :begin, :] = old
        whole[..., begin:end, :] = new
        self._whole, self._held = whole, whole[..., :end, :]
        return self._held
