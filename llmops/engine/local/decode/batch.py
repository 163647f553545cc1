"""From prompts to answers: one batch through transformers' ``generate``.

``generate`` runs greedily over the whole batch; ``sampling`` decides what it sees and ``EndRows``
when it ends. Once enough rows have ended it is interrupted, and goes on with the others alone.
In half precision the kernels round batches of other shapes otherwise, which may tip a near-tie.
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
"""Share of rows that still run below which a batch is cut down to them."""


class EndRows:
    """A stopping criterion that gives each row its token and ends the batch.

    Args:
        rows: Of the batch.
        cancelled: Set by somebody who wants no more tokens.
        share: The batch ends once no more than this share of its rows goes on.
    """

    def __init__(self, rows: Sequence[Row], cancelled: threading.Event, share: float) -> None:
        self._rows, self._cancelled, self._few = rows, cancelled, share * len(rows)

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        """Which rows are done, (B,), now that the ids have one token more."""
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
    """Answers the prompts of a batch.

    Args:
        model: Of transformers or PEFT.
        prompts: Those of the same adapter are neighbours.
        mixture: Computes each row with its own adapter; ``None`` if the right one is active.
        device: Where the model reads its ids.
        streamer: Of transformers; for a batch of one prompt.
        cancelled: Ends the batch at its next token.

    Raises:
        UnmixableError: A layer does not see its batch row by row.
    """
    batch = _Batch(model, prompts, mixture, device)
    cancelled = cancelled or threading.Event()
    while batch.live and not cancelled.is_set():
        batch.go_on(cancelled, streamer)
    return [row.answer() for row in batch.rows]


class _Batch:
    """Rows side by side: ids and mask (B, T), and their keys and values so far."""

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

    def go_on(self, cancelled: threading.Event, streamer: Any) -> None:
        """Generates until all rows have ended, or so many that the others are better off alone."""
        import torch

        adapters = [row.prompt.adapter for row in self.live]
        mixed = self._mixture.over(adapters) if self._mixture else nullcontext()
        ends = EndRows(self.live, cancelled, LIVE_SHARE if self._cache is not None else 0.0)
        with mixed, torch.inference_mode():
            ids = self._generate(ends, streamer)
            self._keep([i for i, row in enumerate(self.live) if row.reason is None], ids)

    def _generate(self, ends: EndRows, streamer: Any) -> Any:
        from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

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
            **({} if self._cache is None else {"past_key_values": self._cache}),
        )

    def _keep(self, kept: list[int], ids: Any) -> None:
        """Goes on with some of the rows only."""
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
    """Keys and values from which rows can be taken; ``None`` if this model keeps something else."""
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

    from llmops.engine.local.decode.kv_cache import GrowingLayer

    base = unwrapped(model)
    if not compat.keeps_default_cache(base):
        return None
    cache = DynamicCache(config=base.config)
    if not all(type(one) in (DynamicLayer, DynamicSlidingWindowLayer) for one in cache.layers):
        return None
    cache.layers = [GrowingLayer() if type(one) is DynamicLayer else one for one in cache.layers]
    return cache
