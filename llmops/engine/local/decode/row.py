"""A row of a batch: its tokens so far, its random numbers, and why it ended.

An answer depends on its own prompt, sampling and seed, never on the other rows or its place.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any

from llmops.engine.local.decode.stops import StopStrings
from llmops.engine.local.decode.streaming import StableText
from llmops.engine.logprobs import TokenLogprob
from llmops.engine.requests import Prompt
from llmops.records import Answer


class Row:
    """A prompt and the tokens generated after it.

    Args:
        prompt: The prompt to continue.
        top: Number of likeliest tokens to note at each place; ``None`` to note no probabilities.

    Attributes:
        prompt: The prompt.
        top: See above.
        logprobs: The log-probabilities of the generated tokens, if they are noted.
        tokens: Generated token ids, including the end token.
        reason: Finish reason, ``stop`` or ``length``; ``None`` while the row is running.
    """

    def __init__(self, prompt: Prompt, *, top: int | None = None) -> None:
        self.prompt, self.top = prompt, top
        self.logprobs: list[TokenLogprob] = []
        self.tokens: list[int] = []
        self.reason: str | None = None
        self._end_ids = prompt.chat_format.end_ids
        self._stops = StopStrings(prompt.sampling.stop) if prompt.sampling.stop else None
        self._text = StableText(prompt.chat_format, special=True) if self._stops else None
        self._noted: Any = None

    @property
    def ids(self) -> list[int]:
        """Token ids of the prompt and of what was generated."""
        return [*self.prompt.ids, *self.tokens]

    @property
    def length(self) -> int:
        """Number of these."""
        return len(self.prompt.ids) + len(self.tokens)

    @property
    def left(self) -> int:
        """Number of tokens that may still be generated."""
        return self.prompt.max_tokens - len(self.tokens)

    def append(self, token: int) -> None:
        """Append a token, unless the row has ended."""
        if self.reason is not None:
            return
        self.tokens.append(token)
        if self.top is not None:
            self.logprobs.append(self._logprob(token))
        if token in self._end_ids or self._stopped(token):
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

    def note(self, log_probs: Any) -> None:
        """Take the log-probabilities (V,) of the token that will be appended next."""
        self._noted = log_probs

    def rewind(self) -> None:
        """Return to the random number after that of the last token: its successor was lost."""
        self.__dict__.pop("_generator", None)
        for _ in self.tokens if self.prompt.sampling.temperature > 0 else ():
            self.uniform()

    def _logprob(self, token: int) -> TokenLogprob:
        values, ids = self._noted.topk(min(self.top or 0, len(self._noted)))
        text = self.prompt.chat_format.text
        top = zip(ids.tolist(), values.tolist(), strict=True)
        likeliest = tuple((text([i], special=True), value) for i, value in top)
        return TokenLogprob(text([token], special=True), float(self._noted[token]), likeliest)

    def _stopped(self, token: int) -> bool:
        if self._stops is None or self._text is None:
            return False
        self._stops.add(self._text.add(token))
        return self._stops.would_find(self._text.rest)

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
