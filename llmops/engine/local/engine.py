"""The local engine: one base model in memory, its adapters beside it, torch underneath.

Requests to several sides are answered in the same batches: see ``mixing``. Adapters that are more
than LoRA on linear layers, such as DoRA, have batches of their own.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, nullcontext
from typing import Any

from llmops.engine import requests
from llmops.engine.chat_format import Messages, Voice
from llmops.engine.local.adapters import load_adapters
from llmops.engine.local.decode.batch import decode
from llmops.engine.local.decode.likelihood import SCORE_BATCH, SCORE_TOKENS, score
from llmops.engine.local.decode.memory import Budget
from llmops.engine.local.decode.packing import TOKENS
from llmops.engine.local.decode.streaming import cut, pieces
from llmops.engine.local.fitting import compute_fitting
from llmops.engine.local.loading import load_base
from llmops.engine.local.mixed_adapters import Mixture
from llmops.engine.local.scheduler import OnBatch, Scheduler
from llmops.engine.requests import Pair, Prompt, Request, Turn, failed
from llmops.errors import UsageError
from llmops.records import Answer, BaseModel, Likelihood, LoadOptions, ModelFiles, Sampling

DEFAULTS = LoadOptions()
ROWS = 128
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

        base = common_base(sides)
        model = load_base(base.directory, options)
        self.context = context_of(model.config.get_text_config(), base.uri)
        self.device = model.get_input_embeddings().weight.device
        voices = {side.tokenizer_dir: side for side in sides}
        self._voices = {folder: Voice.of(side) for folder, side in voices.items()}
        self._first = sides[0]
        model.generation_config = GenerationConfig()  # `generate` would mix its settings into ours
        self.model: Any = load_adapters(model, sides)
        self._scheduler = Scheduler(self.model, self.context, self._first.adapter_digest)
        self._budget = Budget(TOKENS)
        self._score_budget = Budget(SCORE_TOKENS)

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
        on_batch: OnBatch[Answer] | None = None,
    ) -> list[Answer]:
        """Answers conversations by one side; see ``generate_many``.

        Args:
            side: Which adapter (or the bare base) answers.
            conversations: Messages with ``role`` and ``content``, or texts to continue.
            sampling: Length, temperature, stop strings: of all, or one for each conversation.
            batch_size: Conversations at once at most.
            on_batch: Called with the indices and answers of each finished batch.

        Raises:
            UsageError: A prompt and its answer do not fit the context, or a sampling is invalid.
            LlmopsError: A conversation does not fit into memory even alone.
        """
        if isinstance(sampling, Sampling):
            sampling = [sampling] * len(conversations)
        if len(sampling) != len(conversations):
            raise UsageError(f"{len(sampling)} samplings for {len(conversations)} conversations")
        asked = [Request(side, *row) for row in zip(conversations, sampling, strict=True)]
        return self._answers([self._prompt(one) for one in asked], batch_size, on_batch)

    def generate_many(
        self,
        asked: Sequence[Request],
        *,
        batch_size: int | None = None,
        on_batch: OnBatch[Answer] | None = None,
    ) -> list[Answer]:
        """Answers requests to one side or several, in batches of similar length.

        Args:
            asked: Each names its side, its conversation and its sampling.
            batch_size: Requests at once at most; long ones are fewer, and so are those that
                memory turns out not to hold.
            on_batch: Called with the indices and answers of each finished batch.

        Returns:
            Answers in the order of the requests. One that cannot be given, such as to a prompt
            that is too long, is empty and has ``error`` set.

        Raises:
            UsageError: A sampling is invalid.
            LlmopsError: A request does not fit into memory even alone.
        """
        for one in asked:
            requests.check_sampling(one.sampling)
        return compute_fitting(
            asked,
            self._prompt,
            lambda prompts, tell: self._answers(prompts, batch_size, tell),
            failed,
            on_batch,
        )

    def stream(
        self, side: ModelFiles, messages: Messages | str, sampling: Sampling
    ) -> Iterator[str | Answer]:
        """Yields pieces of text as they are generated, then the whole ``Answer``.

        The pieces together are its text: what may become a stop string is held back. Closing the
        iterator stops the generation.
        """
        voice = self.voice(side)
        prompt = requests.prompt(Request(side, messages, sampling), voice, self.context)

        def work(streamer: Any, cancelled: threading.Event) -> Answer:
            def decoded(rows: list[Prompt], mixture: Mixture | None) -> list[Answer]:
                return decode(self.model, rows, mixture, self.device, streamer, cancelled)

            (answer,) = self._scheduler.in_turn([prompt], decoded)
            return answer

        with closing(pieces(voice, work)) as generated:
            yield from cut(generated, sampling.stop)

    def log_likelihood(
        self, side: ModelFiles, conversations: Sequence[Messages], responses: Sequence[str]
    ) -> list[tuple[float, int]]:
        """Log-likelihood of responses under one side; see ``log_likelihood_many``.

        Raises:
            UsageError: A prompt and its response do not fit the context.
        """
        turns = [Turn(side, *row) for row in zip(conversations, responses, strict=True)]
        return self._likelihoods([self._pair(turn) for turn in turns], None)

    def log_likelihood_many(
        self, turns: Sequence[Turn], *, on_batch: OnBatch[Any] | None = None
    ) -> list[Likelihood | None]:
        """Log-likelihood of given responses as the chat template writes them, end of turn included.

        Args:
            turns: Each names its side, its conversation and its response.
            on_batch: Called with the indices and results of each finished batch.

        Returns:
            For each response the sum of natural-log token probabilities, and the token count;
            ``None`` if it does not fit the context.

        Raises:
            LlmopsError: A turn does not fit into memory even alone.
        """
        return compute_fitting(turns, self._pair, self._likelihoods, lambda _: None, on_batch)

    def _prompt(self, one: Request) -> Prompt:
        return requests.prompt(one, self.voice(one.side), self.context)

    def _pair(self, turn: Turn) -> Pair:
        return requests.pair(turn, self.voice(turn.side), self.context)

    def _answers(
        self, prompts: list[Prompt], rows: int | None, on_batch: OnBatch[Answer] | None
    ) -> list[Answer]:
        return self._scheduler.compute(
            prompts, self._generate_batch, self._budget, rows or ROWS, on_batch
        )

    def _likelihoods(
        self, pairs: list[Pair], on_batch: OnBatch[Likelihood] | None
    ) -> list[Likelihood]:
        return self._scheduler.compute(
            pairs, self._score, self._score_budget, SCORE_BATCH, on_batch
        )

    def _generate_batch(self, prompts: list[Prompt], mixture: Mixture | None) -> list[Answer]:
        return decode(self.model, prompts, mixture, self.device)

    def _score(self, pairs: list[Pair], mixture: Mixture | None) -> list[tuple[float, int]]:
        with mixture.over([pair.adapter for pair in pairs]) if mixture else nullcontext():
            return score(self.model, pairs, self.device)

    def _select(self, side: ModelFiles) -> None:
        """Makes a side's adapter active, or none."""
        self._scheduler.activate(side.adapter_digest)


def context_of(config: Any, uri: str) -> int:
    """Tokens that a model reads at most, by whatever name its configuration knows them.

    Raises:
        UsageError: It does not say.
    """
    for name in ("max_position_embeddings", "max_seq_len", "seq_length"):
        if isinstance(found := getattr(config, name, None), int):
            return found
    raise UsageError(f"{uri}: its config.json does not say how many tokens the model reads at most")


def common_base(sides: Sequence[ModelFiles]) -> BaseModel:
    """The base of all sides.

    Raises:
        UsageError: They have different ones.
    """
    bases = {side.base.digest: side.base for side in sides}
    if len(bases) != 1:
        names = ", ".join(sorted(base.uri for base in bases.values()))
        raise UsageError(
            f"the sides have different base models ({names}): one engine serves one base"
        )
    (base,) = bases.values()
    return base
