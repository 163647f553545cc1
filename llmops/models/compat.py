"""Private names of transformers, PEFT and torch, each with the release and the reason for it.

``tests/unit/models/test_compat.py`` fails when a release drops one of them or no longer needs it.
"""

from __future__ import annotations

from typing import Any


def keeps_default_cache(model: Any) -> bool:
    """Return whether a model keeps keys and values in a ``DynamicCache``.

    transformers 5.23 ``PreTrainedModel._supports_default_dynamic_cache``: ``generate`` checks the
    same; nothing public distinguishes such a model from one with its own state, such as RWKV.
    """
    return bool(model._supports_default_dynamic_cache())


def takes_logits_to_keep(model: Any) -> bool:
    """Return whether a model's ``forward`` can leave out the logits of earlier positions.

    transformers 5.23 ``PreTrainedModel._supports_logits_to_keep``: ``generate`` checks the same; the
    signature of ``forward`` does not show it where a model takes it by ``**kwargs``.
    """
    return bool(model._supports_logits_to_keep())


def disable_adapters(layer: Any, disabled: bool) -> None:
    """Switch the adapters of one LoRA layer off or on, and change nothing else.

    PEFT 0.21 ``BaseTunerLayer._disable_adapters``: the public ``enable_adapters`` also sets
    ``requires_grad`` of every parameter: 100 ms for 210 layers, for each batch.
    """
    layer._disable_adapters = disabled


def replace_weight(module: Any, weight: Any) -> None:
    """Give a shallow copy of a module its own weight.

    torch 2.9 ``Module._parameters``: ``copy.copy`` shares this dictionary with the original, so
    that assigning ``module.weight`` would change the original's too.

    Args:
        module: A ``copy.copy`` of a module with a parameter ``weight``.
        weight: A ``Parameter`` of the same shape.
    """
    module._parameters = {**module._parameters, "weight": weight}
