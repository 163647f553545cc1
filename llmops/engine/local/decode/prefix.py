"""Compute the common prefix of a batch's prompts once, such as a system prompt.

The rows of an adapter share its keys and values for these tokens, as in vLLM's prefix caching
(W. Kwon et al., PagedAttention, 2023, section 4.4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from itertools import groupby, takewhile
from typing import Any

from llmops.engine.local.adapters import unwrapped
from llmops.engine.local.mixed_adapters import Mixture
from llmops.engine.requests import Prompt
from llmops.models import compat

WORTH_TOKENS = 256
"""Minimum number of tokens that a separate pass over the prefix must save."""
ROPES = {"default", "linear", "llama3", "yarn"}
"""Kinds of rotary positions that do not depend on the rest of the batch, unlike longrope and
dynamic."""


def can_share(model: Any, cache: Any) -> bool:
    """Return whether padding between the prefix and the rest leaves the model's output unchanged.

    This holds if positions enter only as rotary embeddings, which follow the attention mask, and
    every layer attends to all tokens. Sliding windows and ALiBi may count the columns of the batch
    instead.

    Args:
        model: A model from transformers or PEFT.
        cache: Its KV cache.
    """
    from transformers.cache_utils import DynamicLayer

    config = unwrapped(model).config.get_text_config()
    rope = getattr(config, "rope_parameters", None) or {}
    return (
        bool(cache.layers)
        and all(isinstance(layer, DynamicLayer) and not layer.is_sliding for layer in cache.layers)
        and rope.get("rope_type") in ROPES
        and not getattr(config, "alibi", False)
    )


def can_split(model: Any) -> bool:
    """Return whether a prompt may be computed in several passes.

    Not where rotary positions depend on the length of the pass, as with longrope.

    Args:
        model: A model from transformers or PEFT.
    """
    rope = getattr(unwrapped(model).config.get_text_config(), "rope_parameters", None) or {}
    kinds = [one.get("rope_type") for one in (rope, *rope.values()) if isinstance(one, Mapping)]
    return all(kind in ROPES for kind in kinds if kind is not None)


def compute_prefix(
    model: Any, prompts: Sequence[Prompt], mixture: Mixture | None, cache: Any, device: Any
) -> int:
    """Fill an empty KV cache with the common prefix of the prompts if this saves enough tokens.

    Args:
        model: A model from transformers or PEFT.
        prompts: Prompts of B rows, in which those of the same adapter are adjacent.
        mixture: Computes each row with its own adapter; ``None`` if the right one is active.
        cache: An empty KV cache of full attention; if it is filled, it has B rows afterwards.
        device: Device that holds the input token ids.

    Returns:
        The number of tokens in the cache; 0 if it was left empty.
    """
    import torch

    from llmops.engine.local.decode.kv_cache import cache_argument

    of_adapter = [[*rows] for _, rows in groupby(range(len(prompts)), lambda i: prompts[i].adapter)]
    shared = _common([prompt.ids for prompt in prompts])
    if shared * (len(prompts) - len(of_adapter)) < WORTH_TOKENS:
        return 0
    adapters = [prompts[rows[0]].adapter for rows in of_adapter]
    ids = torch.tensor([prompts[0].ids[:shared]] * len(adapters), device=device)
    with mixture.over(adapters) if mixture else nullcontext(), torch.inference_mode():
        model(input_ids=ids, use_cache=True, **cache_argument(cache), **last_logits_only(model))
        owner = [group for group, rows in enumerate(of_adapter) for _ in rows]
        cache.batch_select_indices(torch.tensor(owner, device=device))
    return shared


def masked(mask: Any, shared: int) -> Any:
    """Return the attention mask (B, T) of left-padded rows whose prefix is in the cache.

    A row of n tokens has its first ``shared`` tokens in the first columns and the other
    ``n - shared`` in the last ones; the padding lies between them.

    Args:
        mask: Attention mask (B, T) of the left-padded rows.
        shared: Tokens of the common prefix.
    """
    import torch

    place = torch.arange(mask.shape[1], device=mask.device)
    begins = mask.shape[1] - (mask.sum(dim=1, keepdim=True) - shared)
    return ((place < shared) | (place >= begins)).to(mask.dtype)


def _common(rows: Sequence[Sequence[int]]) -> int:
    """Return the length of the rows' common prefix, short of the last token of any row.

    That token must be computed, as its logits predict the next one.
    """
    alike = takewhile(lambda column: len(set(column)) == 1, zip(*rows, strict=False))
    return min(sum(1 for _ in alike), min(map(len, rows)) - 1)


def last_logits_only(model: Any) -> dict[str, int]:
    """Return the argument of ``forward`` that leaves out the logits of earlier positions, if any."""
    return {"logits_to_keep": 1} if compat.takes_logits_to_keep(unwrapped(model)) else {}
