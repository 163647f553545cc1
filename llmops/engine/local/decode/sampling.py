"""What changes the logits of a batch, row by row, before ``generate`` takes the largest.

Shapes: B rows, V words of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmops.engine.local.decode.row import Row


def processors(rows: Sequence[Row], width: int) -> list[Any]:
    """Logits processors in the order of their effect.

    Args:
        rows: Of the batch.
        width: Tokens of the padded prompts.
    """
    needed = (SuppressTokens(rows), PenaliseRepeats(rows, width), SampleRows(rows))
    return [processor for processor in needed if processor.rows]


class SuppressTokens:
    """A logits processor: tokens that a row's model never says."""

    def __init__(self, rows: Sequence[Row]) -> None:
        suppressed = [row.prompt.chat_format.generation.suppressed for row in rows]
        self.rows = [i for i, tokens in enumerate(suppressed) if tokens]
        self._tokens = {i: list(suppressed[i]) for i in self.rows}

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Scores (B, V) before and after."""
        import torch

        for i, tokens in self._tokens.items():
            scores[i, tokens] = -torch.inf
        return scores


class PenaliseRepeats:
    """A logits processor: the repetition penalty, which must not see the padding of a row.

    (N. S. Keskar et al., CTRL: A Conditional Transformer Language Model, 2019, section 4.1.)
    """

    def __init__(self, rows: Sequence[Row], width: int) -> None:
        from transformers import RepetitionPenaltyLogitsProcessor

        penalties = [row.prompt.chat_format.generation.repetition_penalty for row in rows]
        self.rows = [i for i, penalty in enumerate(penalties) if penalty != 1.0]
        self._begins = {i: width - len(rows[i].prompt.ids) for i in self.rows}
        self._penalise = {i: RepetitionPenaltyLogitsProcessor(penalties[i]) for i in self.rows}

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Scores (B, V) before and after."""
        for i, begin in self._begins.items():
            row = slice(i, i + 1)
            scores[row] = self._penalise[i](input_ids[row, begin:], scores[row])
        return scores


class SampleRows:
    """A logits processor: in rows that sample, only the drawn token stays possible."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = [i for i, row in enumerate(rows) if row.prompt.sampling.temperature > 0]
        self._sampling = [rows[i] for i in self.rows]

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Scores (B, V) before and after."""
        import torch

        def column(values: Sequence[float]) -> Any:
            return torch.tensor(values, dtype=torch.float64, device=scores.device)[:, None]

        tokens = draw(
            scores[self.rows],
            column([row.prompt.sampling.temperature for row in self._sampling]),
            column([row.prompt.sampling.top_p for row in self._sampling]),
            column([row.uniform() for row in self._sampling]),
        )
        scores[self.rows] = -torch.inf
        scores[self.rows, tokens] = 0
        return scores


def draw(logits: Any, temperature: Any, top_p: Any, uniform: Any) -> Any:
    """One token for each row, by inverting its cumulative distribution.

    (L. Devroye, Non-Uniform Random Variate Generation, 1986, section III.2.)

    Args:
        logits: (B, V).
        temperature: (B, 1), above 0.
        top_p: (B, 1): the likeliest tokens that reach this probability stay (Holtzman et al.,
            The Curious Case of Neural Text Degeneration, 2020).
        uniform: (B, 1), in (0, 1].

    Returns:
        Token ids, (B,).
    """
    import torch

    logits = logits.double()
    # relative to the largest logit, so that no temperature overflows
    p = torch.softmax((logits - logits.amax(-1, keepdim=True)) / temperature, dim=-1)
    if bool((top_p < 1).any()):
        ordered, order = p.sort(dim=-1, descending=True, stable=True)
        likelier = ordered.cumsum(-1) - ordered
        p = p.scatter(-1, order, ordered.where(likelier < top_p, 0.0))
    cumulative = p.cumsum(-1)
    return torch.searchsorted(cumulative, uniform * cumulative[:, -1:])[:, 0]
