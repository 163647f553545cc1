"""The local engine: one base model and its adapters in memory, computed by torch.

Requests to several sides share batches, see ``mixed_adapters``. Adapters that are more than plain
LoRA on linear layers, such as DoRA, get separate batches.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from contextlib import closing, nullcontext
from typing import Any

from llmops.engine.chat_format import ChatFormat, Messages
from llmops.engine.local.adapters import load_adapters, remove_adapter
from llmops.engine.local.decode.batch import decode
from llmops.engine.local.decode.likelihood import SCORE_BATCH, SCORE_TOKENS, score
from llmops.engine.local.decode.memory import Budget
from llmops.engine.local.decode.packing import TOKENS
from llmops.engine.local.decode.streaming import cut, pieces
from llmops.engine.local.loading import load_base
from llmops.engine.local.mixed_adapters import Mixture
from llmops.engine.local.scheduler import Scheduler
from llmops.engine.protocol import Capabilities, Engine
from llmops.engine.requests import (
    Key,
    Pair,
    Prompt,
    Request,
    Turn,
    check_keys,
    check_requests,
    failed,
    pair,
    prompt,
    render_all,
)
from llmops.engine.sides import common_base, context_of, files_of
from llmops.errors import UsageError
from llmops.records import Answer, Likelihood, LoadOptions, ModelFiles, Side

DEFAULTS = LoadOptions()
ROWS = 128
"""Default maximum number of conversations in a batch."""


class LocalEngine(Engine):
    """A base model and its adapters, ready to generate; threads that share it take turns.

    Args:
        sides: The sides to load, which must share one base model.
        options: Precision, device, attention, quantization.

    Attributes:
        context: Tokens that prompt and answer may have together.
        device: Device that holds the input token ids.
        model: A transformers model, or a ``PeftModel`` if a side has an adapter.
        scheduler: Decides which rows may share a batch, and activates their adapters.

    Raises:
        UsageError: The sides have different base models, or an option is not supported.
        IntegrityError: The base model is incomplete, or an adapter does not fit it.
        LlmopsError: The device has too little memory.
    """

    def __init__(self, sides: Sequence[Side], *, options: LoadOptions = DEFAULTS) -> None:
        from transformers import GenerationConfig

        files = files_of(sides)
        base = common_base(files)
        model = load_base(base.directory, options)
        self.context = context_of(model.config.get_text_config(), base.uri)
        self.device = model.get_input_embeddings().weight.device
        formats = {side.tokenizer_dir: side for side in files}
        self._chat_formats = {folder: ChatFormat.of(side) for folder, side in formats.items()}
        self._first, self._loaded = files[0], {side.digest: side for side in files}
        model.generation_config = GenerationConfig()  # else `generate` adds these settings
        self.model: Any = load_adapters(model, files)
        self.scheduler = Scheduler(self.model, self.context, self._first.adapter_digest)
        self._budget = Budget(TOKENS)
        self._score_budget = Budget(SCORE_TOKENS)
        self._closed = False

    @property
    def capabilities(self) -> Capabilities:
        """All capabilities, and the context length; see ``Engine``."""
        return Capabilities(likelihood=True, stream=True, completion=True, context=self.context)

    @property
    def tokenizer(self) -> Any:
        """The first side's tokenizer."""
        return self.chat_format().tokenizer

    def chat_format(self, side: ModelFiles | None = None) -> ChatFormat:
        """Return tokenizer and chat template of a side, by default the first."""
        return self._chat_formats[(side or self._first).tokenizer_dir]

    def render(self, messages: Messages | str) -> str:
        """Render a prompt with the first side's chat template; see ``ChatFormat.render``."""
        return self.chat_format().render(messages)

    def token_ids(self, text: str) -> list[int]:
        """Return the first side's token ids of a rendered text; see ``ChatFormat.token_ids``."""
        return self.chat_format().token_ids(text)

    def answer(
        self, requests: Sequence[Request], *, batch_size: int | None = None
    ) -> Generator[tuple[Key, Answer]]:
        """Answer requests to one or more sides in batches of similar length; see ``Engine``.

        Args:
            requests: Conversations, each with its side, its sampling and a unique key.
            batch_size: Maximum number of requests in a batch, 128 by default. A batch has fewer if
                its requests are long or memory runs out.

        Raises:
            UsageError: See ``Engine``.
            LlmopsError: A request does not fit into memory even alone.
        """
        check_requests(requests)
        self._check_loaded(requests)
        return self._answers(requests, batch_size or ROWS)

    def stream(self, request: Request) -> Generator[str | Answer]:
        """Yield pieces of text, then the answer; see ``Engine``.

        Text that may turn out to be the start of a stop string is held back.
        """
        self._check_loaded([request])
        prompt = self._prompt(request)

        def work(streamer: Any, cancelled: threading.Event) -> Answer:
            def decoded(rows: list[Prompt], mixture: Mixture | None) -> list[Answer]:
                return decode(self.model, rows, mixture, self.device, streamer, cancelled)

            (answer,) = self.scheduler.in_turn([prompt], decoded)
            return answer

        with closing(pieces(prompt.chat_format, work)) as generated:
            yield from cut(generated, request.sampling.stop)

    def likelihood(self, turns: Sequence[Turn]) -> Generator[tuple[Key, Likelihood | None]]:
        """Compute the log-likelihood of given answers; see ``Engine``.

        Raises:
            LlmopsError: A turn does not fit into memory even alone.
        """
        check_keys(turn.key for turn in turns)
        self._check_loaded(turns)
        return self._likelihoods(turns)

    def log_likelihood(
        self, side: ModelFiles, conversations: Sequence[Messages], responses: Sequence[str]
    ) -> list[Likelihood | None]:
        """Return the log-likelihood of one answer to each conversation, in their order.

        Args:
            side: The version or base that computes it.
            conversations: Lists of messages with ``role`` and ``content``.
            responses: The answers, as many as there are conversations.

        Returns:
            What ``likelihood`` yields: the sum of the natural-log probabilities of an answer's tokens
            and their number, or ``None`` for a turn that exceeds the context.

        Raises:
            UsageError: The engine has not loaded the side.
            LlmopsError: A turn does not fit into memory even alone.
        """
        rows = zip(conversations, responses, strict=True)
        turns = [Turn(side, messages, response, i) for i, (messages, response) in enumerate(rows)]
        found = dict(self.likelihood(turns))
        return [found[turn.key] for turn in turns]

    def has(self, adapter: str | None) -> bool:
        """Return whether an adapter is loaded; the base model (``None``) always is."""
        return adapter is None or any(
            side.adapter_digest == adapter for side in self._loaded.values()
        )

    def load(self, side: ModelFiles) -> None:
        """Load another side of the same base; only the thread that generates may call this.

        Raises:
            UsageError: The side has another base, or its adapter cannot be loaded with the others.
            IntegrityError: The adapter does not fit the base model.
        """
        sides = {**self._loaded, side.digest: side}
        common_base([*sides.values()])
        chat_format = self._chat_formats.get(side.tokenizer_dir) or ChatFormat.of(side)
        self.model = load_adapters(self.model, [*sides.values()])
        self._loaded = sides
        self._chat_formats[side.tokenizer_dir] = chat_format
        self._adapters_changed()

    def unload(self, side: ModelFiles) -> None:
        """Remove a side that is no longer asked; only the thread that generates may call this."""
        if self._loaded.pop(side.digest, None) is None:
            return
        if side.adapter_digest is not None:
            self.model = remove_adapter(self.model, side.adapter_digest)
        used = {one.tokenizer_dir for one in (self._first, *self._loaded.values())}
        self._chat_formats = {k: v for k, v in self._chat_formats.items() if k in used}
        self._adapters_changed()

    def _adapters_changed(self) -> None:
        first = self._first.adapter_digest if self._first.digest in self._loaded else None
        self.scheduler.follow(self.model, first)

    def close(self) -> None:
        """Free the model's memory."""
        if not self._closed:
            self._closed = True
            del self.model, self.scheduler

    def _answers(self, requests: Sequence[Request], rows: int) -> Generator[tuple[Key, Answer]]:
        prompts, refused = render_all(requests, self._prompt)
        for key, reason in refused.items():
            yield key, failed(reason)
        yield from self.scheduler.compute(prompts, self._generate_batch, self._budget, rows)

    def _likelihoods(self, turns: Sequence[Turn]) -> Generator[tuple[Key, Likelihood | None]]:
        pairs, refused = render_all(turns, self._pair)
        for key in refused:
            yield key, None
        yield from self.scheduler.compute(pairs, self._score, self._score_budget, SCORE_BATCH)

    def _check_loaded(self, requests: Sequence[Request] | Sequence[Turn]) -> None:
        if self._closed:
            raise UsageError("the engine is closed; open a new one")
        for side in {request.side.digest: request.side for request in requests}.values():
            if side.digest not in self._loaded:
                raise UsageError(f"{side.uri}: this engine has not loaded it")

    def prompt(self, request: Request) -> Prompt:
        """Render a request to token ids.

        Raises:
            UsageError: The side is not loaded, the sampling is invalid, or the prompt is too long.
        """
        self._check_loaded([request])
        return self._prompt(request)

    def _prompt(self, request: Request) -> Prompt:
        return prompt(request, self._format_of(request.side), self.context)

    def _pair(self, turn: Turn) -> Pair:
        return pair(turn, self._format_of(turn.side), self.context)

    def _format_of(self, side: Side) -> ChatFormat:
        (files,) = files_of([side])
        return self.chat_format(files)

    def _generate_batch(self, prompts: list[Prompt], mixture: Mixture | None) -> list[Answer]:
        return decode(self.model, prompts, mixture, self.device)

    def _score(self, pairs: list[Pair], mixture: Mixture | None) -> list[Likelihood]:
        with mixture.over([pair.adapter for pair in pairs]) if mixture else nullcontext():
            return score(self.model, pairs, self.device)
