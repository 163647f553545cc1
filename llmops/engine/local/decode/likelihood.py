"""The log-likelihood of given text under a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmops.engine.local.adapters import unwrapped
from llmops.engine.local.decode.packing import padded
from llmops.engine.requests import Pair
from llmops.models import compat

SCORE_BATCH = 8
SCORE_TOKENS = 4_096
"""Logits over the vocabulary are large: 4,096 tokens x 49,152 words are 800 MB in fp32."""


def score(model: Any, pairs: Sequence[Pair], device: Any) -> list[tuple[float, int]]:
    """Log-likelihood of the response of each pair, given its prompt.

    Args:
        model: Of transformers or PEFT.
        pairs: Token ids.
        device: Where the model reads its ids.

    Returns:
        For each pair the sum of natural-log token probabilities, and the token count.
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
    """Logits (B, T - first, V) from the first position on that is needed."""
    base = unwrapped(model)
    width = inputs["input_ids"].shape[1]
    if compat.takes_logits_to_keep(base):
        return model(**inputs, logits_to_keep=width - first).logits
    return model(**inputs).logits[:, first:]
