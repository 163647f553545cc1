"""The local engine: one base model in memory, its adapters beside it, torch underneath.

Rows of a batch are padded on the left to be continued and on the right to be scored; the padding
is masked out in both.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any

from llmops.engine.adapters import load_adapters, select
from llmops.engine.batches import pack, padded
from llmops.engine.decoding import EndRows, Prompt, check_sampling, greedy, processors
from llmops.engine.loading import load_base
from llmops.engine.scoring import SCORE_BATCH, SCORE_TOKENS, score
from llmops.engine.streaming import cut, pieces
from llmops.engine.voice import Messages, Voice
from llmops.errors import UsageError
from llmops.records import Answer, BaseModel, LoadOptions, ModelFiles, Sampling

DEFAULTS = LoadOptions()
ROWS, GPU_ROWS = 32, 64
"""Conversations that are answered at once, if nobody says otherwise."""


class LocalEngine:
    """A base model and its adapters, ready to generate; its threads take turns.

    Args:
        sides: What to load; all must share one base.
        options: Precision, device, attention, quantization.

    Raises:
        UsageError: The sides have different bases, or an option cannot be met.
        IntegrityError: The base is not whole, or an adapter does not fit it.
    """

    def __init__(self, sides: Sequence[ModelFiles], *, options: LoadOptions = DEFAULTS) -> None:
        from transformers import GenerationConfig

        base = _common_base(sides)
        model = load_base(base.directory, options)
        self.context = int(model.config.get_text_config().max_position_embeddings)
        self.device = model.get_input_embeddings().weight.device
        voices = {side.tokenizer_dir: side for side in sides}
        self._voices = {folder: Voice.of(side) for folder, side in voices.items()}
        self._first = sides[0]
        model.generation_config = GenerationConfig()  # `generate` would mix its settings into ours
        self.model: Any = load_adapters(model, sides)
        self._active = self._first.adapter_digest
        select(self.model, self._active)
        self._lock = threading.Lock()
        """Held while the model computes: which adapter is active is state of the torch model."""

    @property
    def tokenizer(self) -> Any:
        """The first side's tokenizer."""
        return self.voice().tokenizer

    def voice(self, side: ModelFiles | None = None) -> Voice:
        """Tokenizer and chat template of a side, by default the first."""
        return self._voices[(side or self._first).tokenizer_dir]

    def render(self, messages: Messages | str) -> str:
        """The prompt text of the first side; see ``Voice.render``."""
        return self.voice().render(messages)

    def token_ids(self, text: str) -> list[int]:
        """Token ids of a rendered text for the first side; see ``Voice.token_ids``."""
        return self.voice().token_ids(text)

    def generate(
        self,
        side: ModelFiles,
        conversations: Sequence[Messages | str],
        sampling: Sampling | Sequence[Sampling],
        *,
        batch_size: int | None = None,
        on_batch: Callable[[list[int], list[Answer]], None] | None = None,
    ) -> list[Answer]:
        """Answers each conversation.

        Args:
            side: Which adapter (or the bare base) answers.
            conversations: Messages with ``role`` and ``content``, or texts to continue.
            sampling: Length, temperature, stop strings: of all, or one for each conversation.
            batch_size: Conversations at once at most; long ones are fewer.
            on_batch: Called with the indices and answers of each finished batch.

        Returns:
            Answers in the order of the conversations.

        Raises:
            UsageError: A prompt and its answer do not fit the context, or a sampling is invalid.
        """
        if isinstance(sampling, Sampling):
            sampling = [sampling] * len(conversations)
        if len(sampling) != len(conversations):
            raise UsageError(f"{len(sampling)} samplings for {len(conversations)} conversations")
        voice = self.voice(side)
        prompts = [self._prompt(voice, *row) for row in zip(conversations, sampling, strict=True)]
        answers: dict[int, Answer] = {}
        for batch in pack(
            [len(prompt.ids) for prompt in prompts],
            [prompt.sampling.max_tokens for prompt in prompts],
            rows=batch_size or (GPU_ROWS if self.device.type == "cuda" else ROWS),
            width=self.context,
        ):
            with self._lock:
                self._select(side)
                done = self._generate_batch([prompts[i] for i in batch], voice)
            answers.update(zip(batch, done, strict=True))
            if on_batch is not None:
                on_batch(batch, done)
        return [answers[i] for i in range(len(prompts))]

    def stream(
        self, side: ModelFiles, messages: Messages | str, sampling: Sampling
    ) -> Iterator[str | Answer]:
        """Yields pieces of text as they are generated, then the whole ``Answer``.

        The pieces together are its text: what may become a stop string is held back. Closing the
        iterator stops the generation.
        """
        voice = self.voice(side)
        prompt = self._prompt(voice, messages, sampling)

        def work(streamer: Any, cancelled: threading.Event) -> Answer:
            with self._lock:  # by the thread that computes, so no reader can block another one
                self._select(side)
                (answer,) = self._generate_batch([prompt], voice, streamer, cancelled)
            return answer

        with closing(pieces(voice, work)) as generated:
            yield from cut(generated, sampling.stop)

    def log_likelihood(
        self, side: ModelFiles, conversations: Sequence[Messages], responses: Sequence[str]
    ) -> list[tuple[float, int]]:
        """Log-likelihood of given responses as the chat template writes them, end of turn included.

        Returns:
            For each response the sum of natural-log token probabilities, and the token count.

        Raises:
            UsageError: A prompt and its response do not fit the context.
        """
        voice = self.voice(side)
        pairs = []
        for messages, response in zip(conversations, responses, strict=True):
            prompt = voice.token_ids(voice.render(messages))
            turn = voice.token_ids(voice.turn(messages, response))
            self._check_fits(len(prompt), len(turn), "the response has")
            pairs.append((prompt, turn))
        scores: dict[int, tuple[float, int]] = {}
        for batch in pack(
            [len(prompt) for prompt, _ in pairs],
            [len(turn) for _, turn in pairs],
            rows=SCORE_BATCH,
            width=self.context,
            tokens=SCORE_TOKENS,
        ):
            with self._lock:
                self._select(side)
                done = score(self.model, [pairs[i] for i in batch], voice, self.device)
            scores.update(zip(batch, done, strict=True))
        return [scores[i] for i in range(len(pairs))]

    def _prompt(self, voice: Voice, messages: Messages | str, sampling: Sampling) -> Prompt:
        check_sampling(sampling)
        ids = voice.token_ids(voice.render(messages))
        if not ids:
            raise UsageError("the prompt is empty")
        self._check_fits(len(ids), sampling.max_tokens, "the answer may have")
        return Prompt(ids, sampling)

    def _check_fits(self, prompt: int, answer: int, what: str) -> None:
        if prompt + answer > self.context:
            raise UsageError(
                f"the prompt has {prompt} tokens and {what} {answer},"
                f" but the model's context is {self.context}"
            )

    def _select(self, side: ModelFiles) -> None:
        """Makes a side's adapter active, or none."""
        if side.adapter_digest != self._active:
            select(self.model, side.adapter_digest)
            self._active = side.adapter_digest

    def _generate_batch(
        self,
        prompts: Sequence[Prompt],
        voice: Voice,
        streamer: Any = None,
        cancelled: threading.Event | None = None,
    ) -> list[Answer]:
        import torch
        from transformers import LogitsProcessorList, StoppingCriteriaList

        inputs = padded([p.ids for p in prompts], voice.pad_id, left=True, device=self.device)
        width = inputs["input_ids"].shape[1]
        ends = EndRows(prompts, voice, width, cancelled)
        with torch.inference_mode():
            ids = self.model.generate(
                **inputs,
                generation_config=greedy(voice, prompts),
                logits_processor=LogitsProcessorList(processors(voice, prompts)),
                stopping_criteria=StoppingCriteriaList([ends]),
                streamer=streamer,
            )
        return [ends.answer(i, row) for i, row in enumerate(ids[:, width:].tolist())]


def _common_base(sides: Sequence[ModelFiles]) -> BaseModel:
    bases = {side.base.digest: side.base for side in sides}
    if len(bases) != 1:
        names = ", ".join(sorted(base.uri for base in bases.values()))
        raise UsageError(
            f"the sides have different base models ({names}): one engine serves one base"
        )
    (base,) = bases.values()
    return base
