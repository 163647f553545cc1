"""Compute rows of several adapters and of the base model in one batch.

The base model computes all rows with its adapters disabled. A forward hook on each adapted layer
then adds each adapter's output to its own rows (Y. Sheng et al., S-LoRA, 2023, section 4). Rows of
the base model are not touched, so they are bitwise those of the base model alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

from llmops.models import compat, peft_config


class UnmixableError(Exception):
    """A layer of the model receives an input whose first dimension is not the batch."""


@dataclass(frozen=True)
class Part:
    """The matrices that an adapter adds to one layer, for a range of the batch's rows.

    Attributes:
        rows: Range of rows of the batch.
        down: Matrix A, transposed: (features in, rank).
        up: Matrix B, transposed: (rank, features out).
        scaling: Factor of their product: alpha / rank.
    """

    rows: slice
    down: Any
    up: Any
    scaling: float


class Mixture:
    """The adapters of a model that can share a batch: plain LoRA on linear layers.

    Args:
        model: A model from transformers or PEFT.
    """

    def __init__(self, model: Any) -> None:
        self._layers = _lora_layers(model)
        configs = getattr(model, "peft_config", {})
        self._mixable = {
            name for name, config in configs.items() if _is_plain(name, config, self._layers)
        }

    def can(self, adapter: str | None) -> bool:
        """Return whether an adapter can share a batch; the base model (``None``) always can."""
        return adapter is None or adapter in self._mixable

    @contextmanager
    def over(self, adapters: Sequence[str | None]) -> Iterator[None]:
        """Let the model compute each row of a batch with its own adapter inside the ``with`` block.

        An active adapter that cannot share a batch must be disabled first.

        Args:
            adapters: Adapter of each row, ``None`` for the base model; rows of the same adapter are
                adjacent.

        Raises:
            UnmixableError: Inside the block, a layer receives an input whose first dimension is not
                the batch.
        """
        ranges = _ranges(adapters)
        hooks = []
        before = [layer.disable_adapters for layer in self._layers]
        try:
            _switch(self._layers, [True] * len(self._layers))
            for layer in self._layers if ranges else ():
                parts = [_part(layer, name, rows) for name, rows in ranges if name in layer.lora_A]
                if parts:
                    add = _adder(parts, len(adapters))
                    hooks.append(layer.get_base_layer().register_forward_hook(add))
            yield
        finally:
            for hook in hooks:
                hook.remove()
            _switch(self._layers, before)


def _lora_layers(model: Any) -> list[Any]:
    from peft import PeftModel
    from peft.tuners.lora import LoraLayer

    if not isinstance(model, PeftModel):
        return []
    return [module for module in model.modules() if isinstance(module, LoraLayer)]


def _switch(layers: Sequence[Any], off: Sequence[bool]) -> None:
    """Disable or enable each layer's adapters."""
    for layer, disabled in zip(layers, off, strict=True):
        compat.disable_adapters(layer, disabled)


def _is_plain(name: str, config: Any, layers: Sequence[Any]) -> bool:
    import torch
    from transformers.pytorch_utils import Conv1D

    if peft_config.plain_settings(config) is None:
        return False
    return all(
        name in layer.lora_A and isinstance(layer.get_base_layer(), (torch.nn.Linear, Conv1D))
        for layer in layers
        if name in layer.r
    )


def _ranges(adapters: Sequence[str | None]) -> list[tuple[str, slice]]:
    """Return each adapter with the range of its rows."""
    ranges, begin = [], 0
    for name, rows in groupby(adapters):
        end = begin + len(list(rows))
        if name is not None:
            ranges.append((name, slice(begin, end)))
        begin = end
    return ranges


def _part(layer: Any, name: str, rows: slice) -> Part:
    down, up = layer.lora_A[name].weight, layer.lora_B[name].weight
    return Part(rows, down.t(), up.t(), layer.scaling[name])


def _adder(parts: Sequence[Part], rows: int) -> Callable[[Any, tuple[Any, ...], Any], Any]:
    """Return a forward hook of a linear layer that adds the parts to its output.

    The layer maps (rows, T, features in) to (rows, T, features out).
    """
    alone = len(parts) == 1 and parts[0].rows == slice(0, rows)
    stack = None if alone else _stacked(parts)

    def add(_: Any, given: tuple[Any, ...], result: Any) -> Any:
        x = given[0]
        if alone:
            return _added(result, x, parts[0])
        if x.ndim != 3 or x.shape[0] != rows:  # such as an expert, which gets only some tokens
            raise UnmixableError
        if stack:
            groups = (len(parts), -1)
            whole = result[stack.rows].view(*groups, result.shape[-1])
            _added(whole, x[stack.rows].reshape(*groups, x.shape[-1]), stack)
            return result
        for part in parts:
            _added(result[part.rows], x[part.rows], part)
        return result

    return add


def _stacked(parts: Sequence[Part]) -> Part | None:
    """Stack the parts into one, if they are adjacent and of equal shape, for one large product.

    Returns:
        A part whose ``down`` is (parts, features in, rank) and whose ``up`` is (parts, rank,
        features out); ``None`` if the parts differ in shape or scaling, or leave a gap.
    """
    import torch

    kinds = {(part.rows.stop - part.rows.start, part.down.shape, part.scaling) for part in parts}
    apart = any(a.rows.stop != b.rows.start for a, b in pairwise(parts))
    if len(parts) < 2 or len(kinds) > 1 or apart:
        return None
    down, up = (torch.stack([getattr(part, name) for part in parts]) for name in ("down", "up"))
    return Part(slice(parts[0].rows.start, parts[-1].rows.stop), down, up, parts[0].scaling)


def _added(result: Any, x: Any, part: Part) -> Any:
    """Add a part to the output of its layer in place; the output has no other user yet."""
    delta = x.to(part.down.dtype) @ part.down @ part.up
    return result.add_(delta, alpha=part.scaling)
