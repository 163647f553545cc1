"""The local engine: one base model in memory, its adapters beside it, torch underneath.

Answers are generated in batches of prompts of similar length. Logits, token ids and masks have
shape (B, T) with T counted in tokens; padding is on the left for generation, on the right for
scoring, and masked out in both.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from llmops.errors import IntegrityError, UsageError
from llmops.records import Answer, ModelFiles, Sampling

Messages = Sequence[Mapping[str, str]]
ADAPTER_WEIGHTS = "adapter_model.safetensors"
SCORE_BATCH = 8
"""Logits over the vocabulary are large: 8 x 128 tokens x 49,152 words are 200 MB in fp32."""


class LocalEngine:
    """A base model and its adapters, ready to generate.

    Args:
        sides: What to load; all must share one base.
        dtype: ``float32``, ``bfloat16`` … or ``auto``: float32 on CPU, bfloat16 on CUDA.

    Raises:
        UsageError: The sides have different bases.
        IntegrityError: An adapter does not fit its base.
    """

    def __init__(self, sides: Sequence[ModelFiles], *, dtype: str = "auto") -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        bases = {side.base.digest: side.base for side in sides}
        if len(bases) != 1:
            names = ", ".join(sorted(base.uri for base in bases.values()))
            raise UsageError(
                f"the sides have different base models ({names}): one engine serves one base"
            )
        (base,) = bases.values()
        self._torch = torch
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        if dtype == "auto":
            dtype = "bfloat16" if self.device == "cuda" else "float32"
        self.tokenizer = AutoTokenizer.from_pretrained(base.directory, trust_remote_code=False)
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        with quiet_loading():
            model = AutoModelForCausalLM.from_pretrained(
                base.directory,
                dtype=getattr(torch, dtype),
                trust_remote_code=False,
                use_safetensors=True,
            )
        self.model: Any = model.to(self.device)
        self.context = int(model.config.max_position_embeddings)
        self._adapters: set[str] = set()
        for side in sides:
            if side.adapter_dir is not None and side.adapter_digest is not None:
                self._add_adapter(side.adapter_digest, side.adapter_dir)
        self.model.eval()

    def generate(
        self,
        side: ModelFiles,
        conversations: Sequence[Messages],
        sampling: Sampling,
        *,
        batch_size: int = 32,
        on_batch: Callable[[list[int], list[Answer]], None] | None = None,
    ) -> list[Answer]:
        """Answers each conversation.

        Args:
            side: Which adapter (or the bare base) answers.
            conversations: Messages with ``role`` and ``content``.
            sampling: Length, temperature, stop strings.
            batch_size: Conversations at once.
            on_batch: Called with the indices and answers of each finished batch.

        Returns:
            Answers in the order of the conversations.

        Raises:
            UsageError: A prompt and its answer do not fit the context.
        """
        prompts = [self.render(messages) for messages in conversations]
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
        answers: dict[int, Answer] = {}
        self._select(side)
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            done = self._generate_batch([prompts[i] for i in batch], sampling)
            answers.update(zip(batch, done, strict=True))
            if on_batch is not None:
                on_batch(batch, done)
        return [answers[i] for i in range(len(prompts))]

    def stream(
        self, side: ModelFiles, messages: Messages, sampling: Sampling
    ) -> Iterator[str | Answer]:
        """Yields pieces of text as they are generated, then the whole ``Answer``.

        Closing the iterator stops the generation.
        """
        from transformers import StoppingCriteria, StoppingCriteriaList, TextIteratorStreamer

        cancelled = threading.Event()

        class Cancelled(StoppingCriteria):  # type: ignore[misc]
            def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
                done = cancelled.is_set()
                return input_ids.new_full((input_ids.shape[0],), done, dtype=bool)

        self._select(side)
        inputs = self._encode([self.render(messages)], sampling)
        streamer = TextIteratorStreamer(self.tokenizer, skip_prompt=True, skip_special_tokens=True)
        result: list[Any] = []

        def work() -> None:
            try:
                result.append(
                    self._run(
                        inputs,
                        sampling,
                        streamer=streamer,
                        stopping_criteria=StoppingCriteriaList([Cancelled()]),
                    )
                )
            except BaseException as error:
                result.append(error)
                streamer.end()

        thread = threading.Thread(target=work, name="llmops-stream", daemon=True)
        thread.start()
        try:
            for piece in streamer:
                if piece:
                    yield piece
        finally:
            cancelled.set()
            thread.join()
        if isinstance(result[0], BaseException):
            raise result[0]
        yield self._answer(result[0][0], inputs, 0, sampling)

    def log_likelihood(
        self, side: ModelFiles, conversations: Sequence[Messages], responses: Sequence[str]
    ) -> list[tuple[float, int]]:
        """Log-likelihood of given responses as the chat template writes them, end of turn included.

        Returns:
            For each response the sum of natural-log token probabilities, and the token count.
        """
        self._select(side)
        pairs = [
            (self.token_ids(self.render(messages)), self.token_ids(self._turn(messages, response)))
            for messages, response in zip(conversations, responses, strict=True)
        ]
        order = sorted(range(len(pairs)), key=lambda i: sum(map(len, pairs[i])))
        scores: dict[int, tuple[float, int]] = {}
        for start in range(0, len(order), SCORE_BATCH):
            batch = order[start : start + SCORE_BATCH]
            scores.update(zip(batch, self._score_batch([pairs[i] for i in batch]), strict=True))
        return [scores[i] for i in range(len(pairs))]

    def render(self, messages: Messages) -> str:
        """The prompt text of a conversation, the assistant's turn opened.

        Raises:
            UsageError: The chat template refuses the messages.
        """
        return self._template(messages, add_generation_prompt=True)

    def _turn(self, messages: Messages, response: str) -> str:
        """The assistant's turn as training sees it: what the template adds to the prompt."""
        whole = self._template([*messages, {"role": "assistant", "content": response}])
        prompt = self.render(messages)
        if whole.startswith(prompt):
            return whole[len(prompt) :]
        return f"{response}{self.tokenizer.eos_token}"  # templates that rewrite earlier turns

    def _template(self, messages: Messages, **options: bool) -> str:
        try:
            text = self.tokenizer.apply_chat_template(
                [dict(message) for message in messages], tokenize=False, **options
            )
        except Exception as error:
            raise UsageError(f"the chat template refuses the messages: {error}") from error
        return str(text)

    def token_ids(self, text: str) -> list[int]:
        """Token ids of a rendered text; the template has written the special tokens already."""
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _add_adapter(self, name: str, directory: Path) -> None:
        from peft import PeftModel

        if name in self._adapters:
            return
        if not (directory / ADAPTER_WEIGHTS).is_file():  # else PEFT looks for a pickle
            raise IntegrityError(f"{directory}: holds no {ADAPTER_WEIGHTS}; nothing else is read")
        try:
            if not self._adapters:
                self.model = PeftModel.from_pretrained(self.model, directory, adapter_name=name)
            else:
                self.model.load_adapter(directory, adapter_name=name)
        except (RuntimeError, ValueError, KeyError) as error:
            first = str(error).strip().splitlines()[0]
            raise IntegrityError(
                f"{directory}: the adapter does not fit its base: {first}"
            ) from error
        self._check_keys(name, directory)
        self._adapters.add(name)

    def _check_keys(self, name: str, directory: Path) -> None:
        """Every adapter tensor has its file entry and the other way round."""
        from peft import get_peft_model_state_dict
        from safetensors import safe_open

        with safe_open(directory / ADAPTER_WEIGHTS, framework="pt") as stored:
            in_file = set(stored.keys())
        in_model = set(
            get_peft_model_state_dict(self.model, adapter_name=name, save_embedding_layers=False)
        )
        if in_file != in_model:
            odd = sorted(in_file ^ in_model)
            raise IntegrityError(
                f"{directory}: {len(odd)} adapter tensors do not match the base model, such as {odd[0]}"
            )

    def _select(self, side: ModelFiles) -> None:
        """Makes one adapter active, or none."""
        if not self._adapters:
            return
        if side.adapter_digest is None:
            self.model.base_model.disable_adapter_layers()
        else:
            self.model.base_model.enable_adapter_layers()
            self.model.set_adapter(side.adapter_digest)

    def _encode(self, prompts: list[str], sampling: Sampling) -> Any:
        inputs = self.tokenizer(
            prompts,
            add_special_tokens=False,
            padding=True,
            padding_side="left",
            return_tensors="pt",
        )
        longest = int(inputs["input_ids"].shape[1])
        if longest + sampling.max_tokens > self.context:
            raise UsageError(
                f"the prompt has {longest} tokens and the answer may have {sampling.max_tokens},"
                f" but the model's context is {self.context}"
            )
        return inputs.to(self.device)

    def _run(self, inputs: Any, sampling: Sampling, **extra: Any) -> Any:
        """Generated ids without the prompt, shape (B, new tokens)."""
        torch = self._torch
        options: dict[str, Any] = {
            "do_sample": False,
            "temperature": None,
            "top_p": None,
            "top_k": None,
        }
        if sampling.temperature > 0:
            options = {
                "do_sample": True,
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "top_k": 0,
            }
            if sampling.seed is not None:
                torch.manual_seed(sampling.seed)
        if sampling.stop:
            options |= {"stop_strings": list(sampling.stop), "tokenizer": self.tokenizer}
        with torch.inference_mode():
            ids = self.model.generate(
                **inputs,
                max_new_tokens=sampling.max_tokens,
                pad_token_id=self.tokenizer.pad_token_id,
                eos_token_id=sorted(self._end_ids()),
                **options,
                **extra,
            )
        return ids[:, inputs["input_ids"].shape[1] :]

    def _generate_batch(self, prompts: list[str], sampling: Sampling) -> list[Answer]:
        inputs = self._encode(prompts, sampling)
        ids = self._run(inputs, sampling)
        return [self._answer(ids[i], inputs, i, sampling) for i in range(len(prompts))]

    def _answer(self, ids: Any, inputs: Any, index: int, sampling: Sampling) -> Answer:
        """One row of generated ids as text; padding follows the end token or a stop string."""
        tokens: list[int] = ids.tolist()
        ended = next((i for i, token in enumerate(tokens) if token in self._end_ids()), None)
        tokens = self._strip_padding(tokens) if ended is None else tokens[:ended]
        text = str(self.tokenizer.decode(tokens, skip_special_tokens=True))
        stopped = [text.find(stop) for stop in sampling.stop if stop in text]
        if stopped:
            text = text[: min(stopped)]
        # after a stop string the end token is padding too, where a model pads with it
        return Answer(
            text=text,
            tokens=len(tokens) + (ended is not None and not stopped),
            prompt_tokens=int(inputs["attention_mask"][index].sum()),
            finish_reason="stop" if ended is not None or stopped else "length",
        )

    def _strip_padding(self, tokens: list[int]) -> list[int]:
        while tokens and tokens[-1] == self.tokenizer.pad_token_id:
            tokens = tokens[:-1]
        return tokens

    def _end_ids(self) -> set[int]:
        configured = self.model.generation_config.eos_token_id
        ids = configured if isinstance(configured, list) else [configured]
        return {i for i in [*ids, self.tokenizer.eos_token_id] if i is not None}

    def _score_batch(self, pairs: list[tuple[list[int], list[int]]]) -> list[tuple[float, int]]:
        """Log-likelihood of the second part of each pair, given the first."""
        torch = self._torch
        width = max(len(prompt) + len(response) for prompt, response in pairs)
        ids = torch.full((len(pairs), width), self.tokenizer.pad_token_id)
        mask = torch.zeros((len(pairs), width), dtype=torch.long)
        for row, (prompt, response) in enumerate(pairs):
            length = len(prompt) + len(response)
            ids[row, :length] = torch.tensor(prompt + response)
            mask[row, :length] = 1
        with torch.inference_mode():
            logits = self.model(
                input_ids=ids.to(self.device), attention_mask=mask.to(self.device)
            ).logits
        scores = []
        for row, (prompt, response) in enumerate(pairs):
            begin, end = len(prompt), len(prompt) + len(response)
            log_probs = torch.log_softmax(logits[row, begin - 1 : end - 1].float(), dim=-1)
            picked = log_probs.gather(1, torch.tensor(response, device=log_probs.device)[:, None])
            scores.append((float(picked.sum()), len(response)))
        return scores


class quiet_loading:
    """Silences transformers' own weight-loading bar: ours shows progress."""

    def __enter__(self) -> None:
        from transformers.utils import logging

        self._shown = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()

    def __exit__(self, *_: object) -> None:
        from transformers.utils import logging

        if self._shown:
            logging.enable_progress_bar()
