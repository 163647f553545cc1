"""``likelihood``: probability of the expected answer per token. The engine computes the sums."""

from __future__ import annotations

import math
from pathlib import Path

from llmops.compare.scorers.scorer import Scorer, named_scorer
from llmops.recipe.scorer_names import ScorerName


def load(name: ScorerName, folder: Path) -> Scorer:
    """Return the scorer, which has no ``judge``."""
    return named_scorer(name, None)


def per_token(log_probability_sum: float, tokens: int) -> float:
    """Return the probability of a text per token.

    Args:
        log_probability_sum: Sum of the natural logarithms of the tokens' probabilities.
        tokens: Number of tokens in the sum.

    Returns:
        The geometric mean of the probabilities, exp(sum / tokens), in [0, 1].

    Raises:
        ValueError: There are no tokens, or the sum is NaN or positive.
    """
    if tokens < 1 or not log_probability_sum <= 0:
        raise ValueError(f"no log-probability: sum {log_probability_sum} over {tokens} tokens")
    return math.exp(log_probability_sum / tokens)
