"""Answer the prompts of one batch with transformers' ``generate``.

``generate`` decodes the whole batch greedily; the processors in ``sampling`` change the logits that
it receives, and ``EndRows`` decides when it ends. Once enough rows have ended, it is interrupted
and resumes with the remaining rows alone. In half precision, kernels round differently for other
batch shapes, which may flip a near-tie.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from llmops.engine.local.adapters import unwrapped
from llmops.engine.local.decode.packing import padded
from llmops.engine.local.decode.prefix import can_share, compute_prefix, masked
from llmops.engine.local.decode.row import Row
from llmops.engine.local.decode.sampling import processors
from llmops.engine.local.mixed_adapters import Mixture
from llmops.engine.requests import Prompt
from llmops.models import compat
from llmops.records import Answer

LIVE_SHARE = 0.75
"""A batch is reduced to its running rows once they are no more than this share of it."""


class EndRows:
    """A stopping criterion that hands each row its new token and ends the batch.

    Args:
        rows: Rows of the batch.
        cancelled: Ends the batch once set.
        share: The batch ends once no more than this share of its rows is still running.
    """

    def __init__(self, rows: Sequence[Row], cancelled: threading.Event, share: float) -> None:
        self._rows, self._cancelled, self._few = rows, cancelled, share * len(rows)

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        """Return which rows are done, (B,), after one more token in the ids (B, T)."""
        import torch

        for row, token in zip(self._rows, input_ids[:, -1].tolist(), strict=True):
            row.append(token)
        done = [row.reason is not None for row in self._rows]
        if self._cancelled.is_set() or done.count(False) <= self._few:
            done = [True] * len(done)
        return torch.tensor(done, device=input_ids.device)


def decode(
    model: Any,
    prompts: Sequence[Prompt],
    mixture: Mixture | None,
    device: Any,
    streamer: Any = None,
    cancelled: threading.Event | None = None,
) -> list[Answer]:
    """Answer the prompts of a batch.

    Args:
        model: A model from transformers or PEFT.
        prompts: Prompts, in which those of the same adapter are adjacent.
        mixture: Computes each row with its own adapter; ``None`` if the right one is active.
        device: Device that holds the input token ids.
        streamer: A streamer from transformers, for a batch of one prompt.
        cancelled: Ends the batch at its next token once set.

    Returns:
        An answer for each prompt, in their order.

    Raises:
        UnmixableError: A layer receives an input whose first dimension is not the batch.
    """
    batch = _Batch(model, prompts, mixture, device)
    cancelled = cancelled or threading.Event()
    while batch.live and not cancelled.is_set():
        batch.extend(cancelled, streamer)
    return [row.answer() for row in batch.rows]


class _Batch:
    """The rows of a batch: token ids and attention mask, both (B, T), and the KV cache."""

    def __init__(
        self, model: Any, prompts: Sequence[Prompt], mixture: Mixture | None, device: Any
    ) -> None:
        self.rows = [Row(prompt) for prompt in prompts]
        self.live = self.rows
        self._model, self._mixture = model, mixture
        self._pad = prompts[0].chat_format.pad_id
        inputs = padded([prompt.ids for prompt in prompts], self._pad, left=True, device=device)
        self._ids, self._mask = inputs["input_ids"], inputs["attention_mask"]
        self._width = self._ids.shape[1]
        self._cache = _new_cache(model)
        if self._cache is not None and can_share(model, self._cache):
            shared = compute_prefix(model, prompts, mixture, self._cache, device)
            self._mask = masked(self._mask, shared) if shared else self._mask

    def extend(self, cancelled: threading.Event, streamer: Any) -> None:
        """Generate until all rows have ended, or a smaller batch of the running ones is faster."""
        import torch

        adapters = [row.prompt.adapter for row in self.live]
        mixed = self._mixture.over(adapters) if self._mixture else nullcontext()
        ends = EndRows(self.live, cancelled, LIVE_SHARE if self._cache is not None else 0.0)
        with mixed, torch.inference_mode():
            ids = self._generate(ends, streamer)
            self._keep([i for i, row in enumerate(self.live) if row.reason is None], ids)

    def _generate(self, ends: EndRows, streamer: Any) -> Any:
        from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

        from llmops.engine.local.decode.kv_cache import cache_argument

        config = GenerationConfig(
            do_sample=False,
            max_new_tokens=max(row.left for row in self.live),
            pad_token_id=self._pad,
        )
        return self._model.generate(
            input_ids=self._ids,
            attention_mask=self._mask,
            generation_config=config,
            logits_processor=LogitsProcessorList(processors(self.live, self._width)),
            stopping_criteria=StoppingCriteriaList([ends]),
            streamer=streamer,
            **({} if self._cache is None else cache_argument(self._cache)),
        )

    def _keep(self, kept: list[int], ids: Any) -> None:
        """Reduce the batch to the rows that are kept."""
        import torch

        self.live = [self.live[i] for i in kept]
        if not self.live:
            return
        new = ids.shape[1] - self._ids.shape[1]
        index = torch.tensor(kept, device=ids.device)
        self._ids = ids[index]
        self._mask = torch.nn.functional.pad(self._mask, (0, new), value=1)[index]
        self._cache.batch_select_indices(index)


def _new_cache(model: Any) -> Any:
    """Return an empty KV cache from which rows can be removed.

    Returns:
        The cache; ``None`` if the model uses another kind of cache.
    """
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

    from llmops.engine.local.decode.kv_cache import GrowingLayer

    base = unwrapped(model)
    if not compat.keeps_default_cache(base):
        return None
    cache = DynamicCache(config=base.config)
    layers = cache.layers
    if not all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in layers):
        return None
    cache.layers = [GrowingLayer() if type(layer) is DynamicLayer else layer for layer in layers]
    return cache
