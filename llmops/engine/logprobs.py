"""The probability that a model gave to a token of its answer, and to the likeliest other tokens."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TokenLogprob:
    """A token of an answer with its log-probability.

    Attributes:
        token: Text of the token.
        logprob: Natural logarithm of its probability at temperature 1, all tokens allowed.
        top: The likeliest tokens at this place with their log-probabilities, most likely first.
    """

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...]
