"""The log-likelihood of given text under a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmops.engine.batches import padded
from llmops.engine.voice import Voice

SCORE_BATCH = 8
SCORE_TOKENS = 4_096
"""Logits over the vocabulary are large: 4,096 tokens x 49,152 words are 800 MB in fp32."""


def score(
    model: Any, pairs: Sequence[tuple[list[int], list[int]]], voice: Voice, device: Any
) -> list[tuple[float, int]]:
    """Log-likelihood of the second part of each pair, given the first.

    Args:
        model: Of transformers or PEFT.
        pairs: Token ids.
        voice: Whose tokens they are.
        device: Where the model reads its ids.

    Returns:
        For each pair the sum of natural-log token probabilities, and the token count.
    """
    import torch

    rows = [prompt + response for prompt, response in pairs]
    inputs = padded(rows, voice.pad_id, left=False, device=device)
    with torch.inference_mode():
        logits = model(**inputs).logits
    scores = []
    for row, (prompt, response) in enumerate(pairs):
        begin, end = len(prompt), len(prompt) + len(response)
        log_probs = torch.log_softmax(logits[row, begin - 1 : end - 1].float(), dim=-1)
        picked = log_probs.gather(1, torch.tensor(response, device=log_probs.device)[:, None])
        scores.append((float(picked.sum()), len(response)))
    return scores
