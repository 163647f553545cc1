"""A row of a batch: its tokens so far, its random numbers, and why it ended.

An answer depends on its own prompt, sampling and seed, never on the other rows or its place.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any

from llmops.engine.requests import Prompt
from llmops.records import Answer

TAIL_MARGIN = 8
"""Extra tokens decoded in front of a possible stop string, as the first may be half a character."""


class Row:
    """A prompt and the tokens generated after it.

    Args:
        prompt: The prompt to continue.

    Attributes:
        prompt: The prompt.
        tokens: Generated token ids, including the end token.
        reason: Finish reason, ``stop`` or ``length``; ``None`` while the row is running.
    """

    def __init__(self, prompt: Prompt) -> None:
        self.prompt = prompt
        self.tokens: list[int] = []
        self.reason: str | None = None
        self._end_ids = prompt.chat_format.end_ids
        stops = [len(stop.encode()) for stop in prompt.sampling.stop]
        self._tail = max(stops, default=0) + TAIL_MARGIN

    @property
    def left(self) -> int:
        """Number of tokens that may still be generated."""
        return self.prompt.max_tokens - len(self.tokens)

    def append(self, token: int) -> None:
        """Append a token, unless the row has ended."""
        if self.reason is not None:
            return
        self.tokens.append(token)
        if token in self._end_ids or self._stopped():
            self.reason = "stop"
        elif self.left == 0:
            self.reason = "length"

    def uniform(self) -> float:
        """Draw the row's next random number from (0, 1].

        Zero is excluded, as it would pick a token of probability zero.
        """
        import torch

        return 1.0 - float(torch.rand((), dtype=torch.float64, generator=self._generator))

    def answer(self) -> Answer:
        """Return the answer without its end token, cut before the first stop string."""
        ended = self.tokens[-1] in self._end_ids
        text = self.prompt.chat_format.text(self.tokens[:-1] if ended else self.tokens)
        stops = [text.find(stop) for stop in self.prompt.sampling.stop if stop in text]
        return Answer(
            text=text[: min(stops)] if stops else text,
            tokens=len(self.tokens),
            prompt_tokens=len(self.prompt.ids),
            finish_reason="stop" if stops else self.reason or "length",
        )

    def _stopped(self) -> bool:
        if not self.prompt.sampling.stop:
            return False
        text = self.prompt.chat_format.text(self.tokens[-self._tail :], special=True)
        return any(stop in text for stop in self.prompt.sampling.stop)

    @cached_property
    def _generator(self) -> Any:
        """The row's own random generator.

        The prompt is part of the seed: with one seed for a whole suite, the prompts must not share
        their random numbers, as the statistics assume independence.
        """
        import torch

        generator = torch.Generator()
        seed = self.prompt.sampling.seed
        if seed is None:
            generator.seed()
            return generator
        hashed = hashlib.sha256(f"{seed} {self.prompt.ids}".encode()).digest()
        return generator.manual_seed(int.from_bytes(hashed[:8], "big"))
