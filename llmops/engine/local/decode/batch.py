"""Answer the prompts of one batch with transformers' ``generate``.

``generate`` decodes the whole batch greedily; the processors in ``sampling`` change the logits that
it receives. Once enough rows have ended, it is interrupted and resumes with the remaining rows alone.
In half precision, kernels round differently for other batch shapes, which may flip a near-tie.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from llmops.engine.local.decode.row import Row
from llmops.engine.local.decode.running import RunningRows
from llmops.engine.local.mixed_adapters import Mixture
from llmops.engine.requests import Prompt
from llmops.records import Answer

LIVE_SHARE = 0.75
"""A batch is reduced to its running rows once they are no more than this share of it."""


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
    rows = [Row(prompt) for prompt in prompts]
    batch = RunningRows(model, rows, device)
    cancelled = cancelled or threading.Event()

    def ends(running: int) -> bool:
        return cancelled.is_set() or running <= few

    while batch.rows and not cancelled.is_set():
        few = LIVE_SHARE * len(batch.rows) if batch.resumes else 0
        batch.extend(mixture, ends, streamer)
    return [row.answer() for row in rows]
