"""Compute the log-likelihood of given answers under a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmops.engine.local.adapters import unwrapped
from llmops.engine.local.decode.packing import padded
from llmops.engine.requests import Pair
from llmops.models import compat

SCORE_BATCH = 8
"""Maximum number of pairs in a batch."""
SCORE_TOKENS = 4_096
"""Maximum padded tokens of a batch. Logits are large: 4,096 tokens of a vocabulary of 49,152 take
800 MB in fp32."""


def score(model: Any, pairs: Sequence[Pair], device: Any) -> list[tuple[float, int]]:
    """Return the log-likelihood of each pair's response given its prompt.

    Args:
        model: A model from transformers or PEFT.
        pairs: Token ids of prompts and responses, one batch.
        device: Device that holds the input token ids.

    Returns:
        For each pair, the sum of the natural-log probabilities of the response's tokens, and the
        number of these tokens.
    """
    import torch

    rows = [pair.prompt + pair.response for pair in pairs]
    first = min(len(pair.prompt) for pair in pairs) - 1
    inputs = padded(rows, pairs[0].chat_format.pad_id, left=False, device=device)
    with torch.inference_mode():
        logits = _logits(model, inputs, first)
    scores = []
    for row, pair in enumerate(pairs):
        begin = len(pair.prompt) - 1 - first
        end = begin + len(pair.response)
        log_probs = torch.log_softmax(logits[row, begin:end].float(), dim=-1)
        picked = log_probs.gather(1, torch.tensor(pair.response, device=logits.device)[:, None])
        scores.append((float(picked.sum()), len(pair.response)))
    return scores


def _logits(model: Any, inputs: dict[str, Any], first: int) -> Any:
    """Return the logits (B, T - first, V) from position ``first`` on."""
    base = unwrapped(model)
    width = inputs["input_ids"].shape[1]
    if compat.takes_logits_to_keep(base):
        return model(**inputs, logits_to_keep=width - first).logits
    return model(**inputs).logits[:, first:]
