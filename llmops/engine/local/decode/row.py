"""A row of a batch on its way to an answer: its tokens so far, its chance, and what ends it.

An answer depends on its own prompt, sampling and seed, never on its neighbours or its place.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any

from llmops.engine.requests import Prompt
from llmops.records import Answer

TAIL_MARGIN = 8
"""Tokens read before a possible stop string: the first ones may be half a character."""


class Row:
    """What one prompt has become.

    Args:
        prompt: What is continued.

    Attributes:
        tokens: Generated ids, the end token included.
        reason: Why it ended, ``None`` while it goes on.
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
        """Tokens that may still come."""
        return self.prompt.max_tokens - len(self.tokens)

    def append(self, token: int) -> None:
        """Takes a token, unless the row has ended."""
        if self.reason is not None:
            return
        self.tokens.append(token)
        if token in self._end_ids or self._stopped():
            self.reason = "stop"
        elif self.left == 0:
            self.reason = "length"

    def uniform(self) -> float:
        """The row's next random number, in (0, 1]: a zero would pick tokens of probability zero."""
        import torch

        return 1.0 - float(torch.rand((), dtype=torch.float64, generator=self._generator))

    def answer(self) -> Answer:
        """The answer, without its end token and what begins with a stop string."""
        ended = self.tokens[-1] in self._end_ids
        text = self.prompt.chat_format.text(self.tokens[:-1] if ended else self.tokens)
        found = [text.find(stop) for stop in self.prompt.sampling.stop if stop in text]
        return Answer(
            text=text[: min(found)] if found else text,
            tokens=len(self.tokens),
            prompt_tokens=len(self.prompt.ids),
            finish_reason="stop" if found else self.reason or "length",
        )

    def _stopped(self) -> bool:
        if not self.prompt.sampling.stop:
            return False
        text = self.prompt.chat_format.text(self.tokens[-self._tail :], special=True)
        return any(stop in text for stop in self.prompt.sampling.stop)

    @cached_property
    def _generator(self) -> Any:
        """The row's own source of chance.

        The prompt goes into the seed: one seed for a whole suite must not draw the same numbers
        for each of its prompts, which statistics take for independent.
        """
        import torch

        generator = torch.Generator()
        seed = self.prompt.sampling.seed
        if seed is None:
            generator.seed()
            return generator
        hashed = hashlib.sha256(f"{seed} {self.prompt.ids}".encode()).digest()
        return generator.manual_seed(int.from_bytes(hashed[:8], "big"))
