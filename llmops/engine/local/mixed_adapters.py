"""Several adapters, and the bare base, in one batch.

The base computes all rows at once, its adapters switched off; a hook behind each of its layers
adds to the rows of an adapter what that adapter has learnt (Y. Sheng et al., S-LoRA, 2023,
section 4). Rows of the bare base are not touched, so they are the base's to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

from llmops.models import compat, peft_config


class UnmixableError(Exception):
    """A layer of the model does not see its batch row by row."""


@dataclass(frozen=True)
class Part:
    """What an adapter adds to one layer, for a range of the batch's rows.

    Attributes:
        rows: Of the batch.
        down: (features in, rank).
        up: (rank, features out).
        scaling: Factor of their product.
    """

    rows: slice
    down: Any
    up: Any
    scaling: float


class Mixture:
    """The adapters of a model that can share a batch: LoRA on linear layers, nothing more.

    Args:
        model: Of transformers, or of PEFT.
    """

    def __init__(self, model: Any) -> None:
        self._layers = _lora_layers(model)
        configs = getattr(model, "peft_config", {})
        self._mixable = {
            name for name, config in configs.items() if _is_plain(name, config, self._layers)
        }

    def can(self, adapter: str | None) -> bool:
        """Whether an adapter can share a batch; the bare base always can."""
        return adapter is None or adapter in self._mixable

    @contextmanager
    def over(self, adapters: Sequence[str | None]) -> Iterator[None]:
        """Lets the model compute each row of a batch with its own adapter.

        An active adapter that cannot be mixed must be switched off before.

        Args:
            adapters: Of each row; rows of the same adapter are neighbours.

        Raises:
            UnmixableError: Within: see there.
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
    """Switch each layer's adapters off or on."""
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
    """Where the rows of each adapter lie."""
    found, begin = [], 0
    for name, rows in groupby(adapters):
        end = begin + len(list(rows))
        if name is not None:
            found.append((name, slice(begin, end)))
        begin = end
    return found


def _part(layer: Any, name: str, rows: slice) -> Part:
    down, up = layer.lora_A[name].weight, layer.lora_B[name].weight
    return Part(rows, down.t(), up.t(), layer.scaling[name])


def _adder(parts: Sequence[Part], rows: int) -> Callable[[Any, tuple[Any, ...], Any], Any]:
    """A forward hook of a linear layer: (rows, T, features in) to (rows, T, features out)."""
    alone = len(parts) == 1 and parts[0].rows == slice(0, rows)
    stack = None if alone else _stacked(parts)

    def add(_: Any, given: tuple[Any, ...], result: Any) -> Any:
        x = given[0]
        if alone:
            return _added(result, x, parts[0])
        if x.ndim != 3 or x.shape[0] != rows:  # such as an expert, which sees some of the tokens
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
    """All parts as one, if they are neighbours alike: few large steps instead of many small ones.

    Its ``down`` is (parts, features in, rank), its ``up`` (parts, rank, features out).
    """
    import torch

    kinds = {(part.rows.stop - part.rows.start, part.down.shape, part.scaling) for part in parts}
    apart = any(a.rows.stop != b.rows.start for a, b in pairwise(parts))
    if len(parts) < 2 or len(kinds) > 1 or apart:
        return None
    down, up = (torch.stack([getattr(part, name) for part in parts]) for name in ("down", "up"))
    return Part(slice(parts[0].rows.start, parts[-1].rows.stop), down, up, parts[0].scaling)


def _added(result: Any, x: Any, part: Part) -> Any:
    """In place: nobody else has seen the result of the base layer yet."""
    delta = x.to(part.down.dtype) @ part.down @ part.up
    return result.add_(delta, alpha=part.scaling)
