"""How each row of a batch picks its tokens, and where it ends.

transformers' ``generate`` runs greedily over the whole batch. ``SampleRows`` decides the token of
a row that samples and shows ``generate`` nothing but that token; ``EndRows`` ends each row at its
own length, end token or stop string. So an answer depends on its own prompt, sampling and seed,
never on its neighbours or its place (in half precision the kernels round batches of other shapes
otherwise, which may tip a near-tie). Shapes: B rows, V words of the vocabulary.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llmops.engine.voice import Voice
from llmops.errors import UsageError
from llmops.records import Answer, Sampling

TAIL_MARGIN = 8
"""Tokens read before a possible stop string: the first ones may be half a character."""


@dataclass(frozen=True)
class Prompt:
    """A row of a batch: what to continue, and how."""

    ids: list[int]
    sampling: Sampling


def check_sampling(sampling: Sampling) -> None:
    """Refuses what cannot be generated.

    Raises:
        UsageError: A value is out of range.
    """
    for name, value, valid, allowed in (
        ("max_tokens", sampling.max_tokens, sampling.max_tokens >= 1, "1 or more"),
        (
            "temperature",
            sampling.temperature,
            0 <= sampling.temperature < float("inf"),
            "0 or more",
        ),
        ("top_p", sampling.top_p, 0 < sampling.top_p <= 1, "above 0, at most 1"),
        ("stop", sampling.stop, all(sampling.stop), "texts that are not empty"),
    ):
        if not valid:
            raise UsageError(f"{name} is {value!r}; allowed: {allowed}")


def greedy(voice: Voice, prompts: Sequence[Prompt]) -> Any:
    """A ``GenerationConfig`` for the batch; what differs by row is not its business."""
    from transformers import GenerationConfig

    return GenerationConfig(
        do_sample=False,
        max_new_tokens=max(prompt.sampling.max_tokens for prompt in prompts),
        pad_token_id=voice.pad_id,
        eos_token_id=sorted(voice.end_ids) or None,
        suppress_tokens=list(voice.generation.suppressed) or None,
    )


class PenaliseRepeats:
    """A logits processor: the repetition penalty, which must not see the padding of a row.

    (N. S. Keskar et al., CTRL: A Conditional Transformer Language Model, 2019, section 4.1.)
    """

    def __init__(self, prompts: Sequence[Prompt], penalty: float) -> None:
        from transformers import RepetitionPenaltyLogitsProcessor

        width = max(len(prompt.ids) for prompt in prompts)
        self._begins = [width - len(prompt.ids) for prompt in prompts]
        self._penalise = RepetitionPenaltyLogitsProcessor(penalty)

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Scores (B, V) before and after."""
        import torch

        rows = [
            self._penalise(input_ids[i : i + 1, begin:], scores[i : i + 1])
            for i, begin in enumerate(self._begins)
        ]
        return torch.cat(rows)


def processors(voice: Voice, prompts: Sequence[Prompt]) -> list[Any]:
    """What changes the logits of a batch, in the order of its effect."""
    penalty = voice.generation.repetition_penalty
    repeats = [PenaliseRepeats(prompts, penalty)] if penalty != 1.0 else []
    return [*repeats, SampleRows(prompts)]


class SampleRows:
    """A logits processor: in rows that sample, only the drawn token stays possible."""

    def __init__(self, prompts: Sequence[Prompt]) -> None:
        self._rows = [i for i, prompt in enumerate(prompts) if prompt.sampling.temperature > 0]
        self._samplings = [prompts[i].sampling for i in self._rows]
        self._generators = [_generator(prompts[i]) for i in self._rows]

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Scores (B, V) before and after."""
        import torch

        if not self._rows:
            return scores

        def column(values: Sequence[float]) -> Any:
            return torch.tensor(values, dtype=torch.float64, device=scores.device)[:, None]

        tokens = draw(
            scores[self._rows],
            column([sampling.temperature for sampling in self._samplings]),
            column([sampling.top_p for sampling in self._samplings]),
            column([_uniform(generator) for generator in self._generators]),
        )
        scores[self._rows] = -torch.inf
        scores[self._rows, tokens] = 0
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


def _generator(prompt: Prompt) -> Any:
    """The row's own source of chance.

    The prompt goes into the seed: one seed for a whole suite must not draw the same numbers for
    each of its prompts, which statistics take for independent.
    """
    import torch

    generator = torch.Generator()
    if prompt.sampling.seed is None:
        generator.seed()
        return generator
    hashed = hashlib.sha256(f"{prompt.sampling.seed} {prompt.ids}".encode()).digest()
    return generator.manual_seed(int.from_bytes(hashed[:8], "big"))


def _uniform(generator: Any) -> float:
    """In (0, 1]: a zero would pick tokens of probability zero."""
    import torch

    return 1.0 - float(torch.rand((), dtype=torch.float64, generator=generator))


class EndRows:
    """A stopping criterion that ends each row by itself, and turns it into an answer.

    Args:
        prompts: The rows.
        voice: Whose tokens they are.
        width: Tokens of the padded prompts.
        cancelled: Set by somebody who wants no more tokens.
    """

    def __init__(
        self,
        prompts: Sequence[Prompt],
        voice: Voice,
        width: int,
        cancelled: threading.Event | None = None,
    ) -> None:
        self._prompts, self._voice, self._width = prompts, voice, width
        self._cancelled = cancelled or threading.Event()
        self._end_ids = voice.end_ids
        self._reasons: list[str | None] = [None] * len(prompts)
        self._lengths = [0] * len(prompts)
        stops = [len(stop.encode()) for prompt in prompts for stop in prompt.sampling.stop]
        self._tail = max(stops) + TAIL_MARGIN if stops else 1

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        """Which rows are done, (B,), now that the ids have one token more."""
        import torch

        length = input_ids.shape[1] - self._width
        tails = input_ids[:, max(self._width, input_ids.shape[1] - self._tail) :].tolist()
        for i, tail in enumerate(tails):
            if self._reasons[i] is None:
                self._lengths[i] = length
                self._reasons[i] = self._reason(tail, length, self._prompts[i].sampling)
        done = [self._cancelled.is_set() or reason is not None for reason in self._reasons]
        return torch.tensor(done, device=input_ids.device)

    def answer(self, index: int, ids: Sequence[int]) -> Answer:
        """The answer of a row, from its generated ids with whatever padding follows."""
        tokens = list(ids[: self._lengths[index]])
        ended = tokens[-1] in self._end_ids
        text = self._voice.text(tokens[:-1] if ended else tokens)
        found = [text.find(stop) for stop in self._prompts[index].sampling.stop if stop in text]
        return Answer(
            text=text[: min(found)] if found else text,
            tokens=len(tokens),
            prompt_tokens=len(self._prompts[index].ids),
            finish_reason="stop" if found else self._reasons[index] or "length",
        )

    def _reason(self, tail: list[int], length: int, sampling: Sampling) -> str | None:
        if tail[-1] in self._end_ids:
            return "stop"
        if sampling.stop:
            text = self._voice.text(tail, special=True)
            if any(stop in text for stop in sampling.stop):
                return "stop"
        return "length" if length >= sampling.max_tokens else None
