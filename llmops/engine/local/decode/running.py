"""The rows that are decoded together: their token ids, their attention mask and their KV cache.

Rows can join while others are in the middle of their answers: the shorter ones are padded in front,
and the padding is masked out. Rows of one adapter are always adjacent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, Generic, TypeVar

from llmops.engine.local.adapters import unwrapped
from llmops.engine.local.decode.kv_cache import add_rows, cache_argument, empty_cache, select
from llmops.engine.local.decode.packing import padded
from llmops.engine.local.decode.prefix import can_share, compute_prefix, last_logits_only, masked
from llmops.engine.local.decode.row import Row
from llmops.engine.local.decode.sampling import processors
from llmops.engine.local.mixed_adapters import Mixture

AnyRow = TypeVar("AnyRow", bound=Row)
WORTH_COLUMNS = 32
"""Minimum number of columns of padding that are removed from the front."""


class EndRows:
    """A stopping criterion that hands each row its new token and decides when ``generate`` ends.

    Args:
        rows: Rows of the batch.
        ends: Is asked after each token with the number of rows that still run; ends the batch.
    """

    def __init__(self, rows: Sequence[Row], ends: Callable[[int], bool]) -> None:
        self._rows, self._ends = rows, ends

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        """Return which rows are done, (B,), after one more token in the ids (B, T)."""
        import torch

        for row, token in zip(self._rows, input_ids[:, -1].tolist(), strict=True):
            row.append(token)
        done = [row.reason is not None for row in self._rows]
        if self._ends(done.count(False)):
            done = [True] * len(done)
        return torch.tensor(done, device=input_ids.device)


class RunningRows(Generic[AnyRow]):
    """Rows that are decoded together.

    Args:
        model: A model from transformers or PEFT.
        rows: B rows, in which those of the same adapter are adjacent.
        device: Device that holds the input token ids.

    Attributes:
        rows: The rows that have not ended, or all before the first token.
    """

    def __init__(self, model: Any, rows: Sequence[AnyRow], device: Any) -> None:
        self.rows = list(rows)
        self._model, self._device = model, device
        self._pad = rows[0].prompt.chat_format.pad_id
        inputs = padded([row.ids for row in rows], self._pad, left=True, device=device)
        self._ids, self._mask = inputs["input_ids"], inputs["attention_mask"]
        self._cache = empty_cache(unwrapped(model))
        self._begun = False

    @property
    def resumes(self) -> bool:
        """Whether a KV cache is kept between two calls of ``extend``."""
        return self._cache is not None

    @property
    def width(self) -> int:
        """Tokens of a padded row so far."""
        return int(self._ids.shape[1])

    @property
    def state(self) -> tuple[Any, Any, Any]:
        """Token ids and attention mask, both (B, T), and the KV cache."""
        return self._ids, self._mask, self._cache

    @property
    def uncomputed(self) -> int:
        """Tokens of a padded row that are not in the KV cache."""
        return self.width - int(self._cache.get_seq_length())

    def fill(self, mixture: Mixture | None, tokens: int) -> None:
        """Compute the next tokens of a lone prompt; its last one is left to ``extend``.

        Args:
            mixture: See ``extend``.
            tokens: Number of tokens to compute.
        """
        import torch

        (row,) = self.rows
        begin = self.width - self.uncomputed
        ids = self._ids[:, begin : min(begin + tokens, self.width - 1)]
        mixed = mixture.over([row.prompt.adapter]) if mixture else nullcontext()
        with mixed, torch.inference_mode():
            arguments = cache_argument(self._cache) | last_logits_only(self._model)
            self._model(input_ids=ids, use_cache=True, **arguments)
        self._begun = True

    def extend(
        self, mixture: Mixture | None, ends: Callable[[int], bool], streamer: Any = None
    ) -> None:
        """Generate until all rows have ended or the criterion ends it; keep those that run.

        Args:
            mixture: Computes each row with its own adapter; ``None`` if the right one is active.
            ends: See ``EndRows``.
            streamer: A streamer from transformers, for one row.

        Raises:
            UnmixableError: A layer receives an input whose first dimension is not the batch.
        """
        import torch

        self._begin(mixture)
        mixed = mixture.over([row.prompt.adapter for row in self.rows]) if mixture else None
        with mixed or nullcontext(), torch.inference_mode():
            ids = self._generate(EndRows(self.rows, ends), streamer)
            new = ids.shape[1] - self._ids.shape[1]
            self._ids = ids
            self._mask = torch.nn.functional.pad(self._mask, (0, new), value=1)
            self.keep([i for i, row in enumerate(self.rows) if row.reason is None])

    def keep(self, kept: Sequence[int]) -> None:
        """Reduce the batch to the rows of these indices."""
        import torch

        if len(kept) == len(self.rows):
            return
        self.rows = [self.rows[i] for i in kept]
        if not self.rows:
            self._cache = None
            return
        with torch.inference_mode():
            index = torch.tensor(kept, device=self._ids.device)
            self._ids, self._mask = self._ids[index], self._mask[index]
            begin = int(self._mask.any(dim=0).int().argmax())
            begin = begin if begin >= WORTH_COLUMNS else 0
            self._ids, self._mask = self._ids[:, begin:], self._mask[:, begin:]
            if self._cache is not None:
                select(self._cache, index, begin)

    def join(self, new: RunningRows[AnyRow]) -> None:
        """Take over the rows of another batch of the same model, which has begun as well."""
        import torch

        rows = [*self.rows, *new.rows]
        order = sorted(range(len(rows)), key=lambda i: rows[i].prompt.adapter or "")
        place = torch.tensor([order.index(i) for i in range(len(rows))], device=self._device)
        places = place[: len(self.rows)], place[len(self.rows) :]
        width = max(self.width, new.width)
        with torch.inference_mode():
            ids, mask, cache = new.state
            self._ids = _stacked(self._ids, ids, places, width, self._pad)
            self._mask = _stacked(self._mask, mask, places, width, 0)
            if self._cache is not None:
                add_rows(self._cache, cache, places)
        self.rows = [rows[i] for i in order]

    def _begin(self, mixture: Mixture | None) -> None:
        """Compute what the prompts have in common, once."""
        if self._begun or self._cache is None or any(row.tokens for row in self.rows):
            return
        self._begun = True
        if can_share(self._model, self._cache):
            prompts = [row.prompt for row in self.rows]
            shared = compute_prefix(self._model, prompts, mixture, self._cache, self._device)
            self._mask = masked(self._mask, shared) if shared else self._mask

    def _generate(self, ends: EndRows, streamer: Any) -> Any:
        from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

        config = GenerationConfig(
            do_sample=False,
            max_new_tokens=max(row.left for row in self.rows),
            pad_token_id=self._pad,
        )
        return self._model.generate(
            input_ids=self._ids,
            attention_mask=self._mask,
            generation_config=config,
            logits_processor=LogitsProcessorList(processors(self.rows, self.width)),
            stopping_criteria=StoppingCriteriaList([ends]),
            streamer=streamer,
            **({} if self._cache is None else cache_argument(self._cache)),
        )


def _stacked(a: Any, b: Any, places: tuple[Any, Any], width: int, fill: int) -> Any:
    """Return the rows of both tensors (B, T) at their places, padded in front."""
    whole = a.new_full((a.shape[0] + b.shape[0], width), fill)
    for rows, part in zip(places, (a, b), strict=True):
        whole[rows, width - part.shape[1] :] = part
    return whole
