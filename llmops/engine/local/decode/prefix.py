"""What the prompts of a batch begin with is computed once: a system prompt, an instruction.

The rows of an adapter share its keys and values of these tokens, as vLLM's prefix caching does
(W. Kwon et al., PagedAttention, 2023, section 4.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from itertools import groupby, takewhile
from typing import Any

from llmops.engine.local.adapters import unwrapped
from llmops.engine.local.mixed_adapters import Mixture
from llmops.engine.requests import Prompt
from llmops.models import compat

WORTH_TOKENS = 256
"""Tokens that must be saved for a pass of its own."""
ROPES = {"default", "linear", "llama3", "yarn"}
"""Rotary positions that are the same whatever else is in the batch, unlike longrope and dynamic."""


def can_share(model: Any, cache: Any) -> bool:
    """Whether a gap of padding behind the prefix changes nothing for the model.

    So it is where places are told apart by rotary positions alone, which follow the mask, and where
    every layer attends to all tokens: windows and ALiBi may count the columns of the batch instead.
    """
    from transformers.cache_utils import DynamicLayer

    config = unwrapped(model).config.get_text_config()
    rope = getattr(config, "rope_parameters", None) or {}
    return (
        bool(cache.layers)
        and all(isinstance(one, DynamicLayer) and not one.is_sliding for one in cache.layers)
        and rope.get("rope_type") in ROPES
        and not getattr(config, "alibi", False)
    )


def compute_prefix(
    model: Any, prompts: Sequence[Prompt], mixture: Mixture | None, cache: Any, device: Any
) -> int:
    """Fills an empty cache with the common beginning of the prompts, if that is worth a pass.

    Args:
        model: Of transformers or PEFT.
        prompts: Of B rows; those of the same adapter are neighbours.
        mixture: See ``decode``.
        cache: Keys and values of full attention; afterwards those of B rows.
        device: Where the model reads its ids.

    Returns:
        Tokens in the cache; 0 if it was left empty.
    """
    import torch

    of_adapter = [[*rows] for _, rows in groupby(range(len(prompts)), lambda i: prompts[i].adapter)]
    shared = _common([prompt.ids for prompt in prompts])
    if shared * (len(prompts) - len(of_adapter)) < WORTH_TOKENS:
        return 0
    adapters = [prompts[rows[0]].adapter for rows in of_adapter]
    ids = torch.tensor([prompts[0].ids[:shared]] * len(adapters), device=device)
    with mixture.over(adapters) if mixture else nullcontext(), torch.inference_mode():
        model(input_ids=ids, past_key_values=cache, use_cache=True, **_last_logits_only(model))
        owner = [group for group, rows in enumerate(of_adapter) for _ in rows]
        cache.batch_select_indices(torch.tensor(owner, device=device))
    return shared


def masked(mask: Any, shared: int) -> Any:
    """The attention mask (B, T) of left-padded rows whose first tokens lie in the cache.

    A row of n tokens finds ``shared`` of them at the front; what stands between them and its last
    ``n - shared`` is padding.
    """
    import torch

    place = torch.arange(mask.shape[1], device=mask.device)
    begins = mask.shape[1] - (mask.sum(dim=1, keepdim=True) - shared)
    return ((place < shared) | (place >= begins)).to(mask.dtype)


def _common(rows: Sequence[Sequence[int]]) -> int:
    """Tokens that all rows begin with, less the last one of the shortest: it must be computed."""
    alike = takewhile(lambda column: len(set(column)) == 1, zip(*rows, strict=False))
    return min(sum(1 for _ in alike), min(map(len, rows)) - 1)


def _last_logits_only(model: Any) -> dict[str, int]:
    return {"logits_to_keep": 1} if compat.takes_logits_to_keep(unwrapped(model)) else {}
