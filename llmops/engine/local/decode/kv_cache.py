"""A KV cache with spare room: new tokens are written there without copying the old ones.

transformers' ``DynamicLayer`` concatenates old and new tokens at every step. With 64 rows of about
100 tokens of SmolLM2-135M, this took a fifth of the total time on a CPU.
"""

from __future__ import annotations

from typing import Any

import torch
import transformers
from transformers.cache_utils import DynamicLayer

ROOM = 32
"""Tokens that can be added before the cache is copied to a larger tensor."""


def cache_argument(cache: Any, version: str = transformers.__version__) -> dict[str, Any]:
    """Return a KV cache as the keyword argument of ``generate`` and ``forward``.

    transformers 5.24 calls it ``cache`` and warns of the earlier name ``past_key_values``.
    """
    major, minor = map(int, version.split(".")[:2])
    return {"cache" if (major, minor) >= (5, 24) else "past_key_values": cache}


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
