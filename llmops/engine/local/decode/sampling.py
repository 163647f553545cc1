"""Change the logits of a batch, row by row, before ``generate`` takes the largest.

Shapes: B rows, V tokens of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmops.engine.local.decode.row import Row


def processors(rows: Sequence[Row], width: int) -> list[Any]:
    """Return the logits processors that a batch needs, in the order of their application.

    Args:
        rows: Rows of the batch.
        width: Length in tokens of the padded rows, what was generated so far included.
    """
    needed = (
        NoteLogprobs(rows),
        SuppressTokens(rows),
        PenaliseRepeats(rows, width),
        SampleRows(rows),
    )
    return [processor for processor in needed if processor.rows]


class NoteLogprobs:
    """A logits processor that hands the log-probabilities to the rows that want them.

    Args:
        rows: Rows of the batch.

    Attributes:
        rows: Indices of these rows.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = [i for i, row in enumerate(rows) if row.top is not None]
        self._wanting = [(i, rows[i]) for i in self.rows]

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Return the scores (B, V) as they are."""
        for i, row in self._wanting:
            row.note(scores[i].float().log_softmax(-1))
        return scores


class SuppressTokens:
    """A logits processor that excludes the tokens that a row's model must not generate.

    Args:
        rows: Rows of the batch.

    Attributes:
        rows: Indices of the rows that it changes.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        suppressed = [row.prompt.chat_format.generation.suppressed for row in rows]
        self.rows = [i for i, tokens in enumerate(suppressed) if tokens]
        self._tokens = {i: list(suppressed[i]) for i in self.rows}

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Change the scores (B, V) of its rows and return them all."""
        import torch

        for i, tokens in self._tokens.items():
            scores[i, tokens] = -torch.inf
        return scores


class PenaliseRepeats:
    """A logits processor that applies the repetition penalty without counting the padding.

    Source: N. S. Keskar et al., CTRL: A Conditional Transformer Language Model, 2019, section 4.1.

    Args:
        rows: Rows of the batch.
        width: Length in tokens of the padded rows, what was generated so far included.

    Attributes:
        rows: Indices of the rows that it changes.
    """

    def __init__(self, rows: Sequence[Row], width: int) -> None:
        from transformers import RepetitionPenaltyLogitsProcessor

        penalties = [row.prompt.chat_format.generation.repetition_penalty for row in rows]
        self.rows = [i for i, penalty in enumerate(penalties) if penalty != 1.0]
        self._begins = {i: width - rows[i].length for i in self.rows}
        self._penalise = {i: RepetitionPenaltyLogitsProcessor(penalties[i]) for i in self.rows}

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Change the scores (B, V) of its rows and return them all."""
        for i, begin in self._begins.items():
            row = slice(i, i + 1)
            scores[row] = self._penalise[i](input_ids[row, begin:], scores[row])
        return scores


class SampleRows:
    """A logits processor that draws a token for each sampled row and excludes all others.

    Args:
        rows: Rows of the batch.

    Attributes:
        rows: Indices of the rows that it changes.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = [i for i, row in enumerate(rows) if row.prompt.sampling.temperature > 0]
        self._sampling = [rows[i] for i in self.rows]

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Change the scores (B, V) of its rows and return them all."""
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
    """Draw one token for each row by inverting its cumulative distribution.

    Source: L. Devroye, Non-Uniform Random Variate Generation, 1986, section III.2.

    Args:
        logits: Logits, (B, V).
        temperature: Temperatures, (B, 1), above 0.
        top_p: Probabilities, (B, 1). Only the most likely tokens that together reach this
            probability can be drawn (A. Holtzman et al., The Curious Case of Neural Text
            Degeneration, 2020).
        uniform: Random numbers, (B, 1), in (0, 1].

    Returns:
        Token ids, (B,).
    """
    import torch

    logits = logits.double()
    # Relative to the largest logit, so that low temperatures do not overflow.
    p = torch.softmax((logits - logits.amax(-1, keepdim=True)) / temperature, dim=-1)
    if bool((top_p < 1).any()):
        ordered, order = p.sort(dim=-1, descending=True, stable=True)
        likelier = ordered.cumsum(-1) - ordered
        p = p.scatter(-1, order, ordered.where(likelier < top_p, 0.0))
    cumulative = p.cumsum(-1)
    return torch.searchsorted(cumulative, uniform * cumulative[:, -1:])[:, 0]
