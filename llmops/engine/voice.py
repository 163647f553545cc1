"""How a side reads and writes: its tokenizer, its chat template, and where its answers end.

A version may bring its own tokenizer, template or generation configuration, or only one of them;
what it does not bring is its base's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llmops.errors import UsageError
from llmops.records import ModelFiles

Messages = Sequence[Mapping[str, str]]
TEMPLATE = "chat_template.jinja"
GENERATION = "generation_config.json"
TOKENIZER = ("tokenizer_config.json", "tokenizer.json")


class Voice:
    """A tokenizer with its chat template and generation configuration.

    Args:
        tokenizer: Of transformers.
        generation: transformers' ``GenerationConfig``.
    """

    def __init__(self, tokenizer: Any, generation: Any) -> None:
        self.tokenizer = tokenizer
        self.generation = generation
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token

    @classmethod
    def of(cls, side: ModelFiles, model: Any) -> Voice:
        """What a side brings, over what its base has.

        Args:
            side: Verified files.
            model: The base in memory.
        """
        from transformers import GenerationConfig

        own = side.tokenizer_dir
        tokenizer = _tokenizer(side.base.directory)
        if own is None:
            return cls(tokenizer, model.generation_config)
        if any((own / name).is_file() for name in TOKENIZER):
            template = tokenizer.chat_template
            tokenizer = _tokenizer(own, config=model.config)
            tokenizer.chat_template = tokenizer.chat_template or template
        if (own / TEMPLATE).is_file():
            tokenizer.chat_template = (own / TEMPLATE).read_text(encoding="utf-8")
        if not (own / GENERATION).is_file():
            return cls(tokenizer, model.generation_config)
        return cls(tokenizer, GenerationConfig.from_pretrained(own))

    @property
    def end_ids(self) -> set[int]:
        """Tokens that end an answer."""
        configured = self.generation.eos_token_id
        ids = configured if isinstance(configured, list) else [configured]
        return {i for i in [*ids, self.tokenizer.eos_token_id] if i is not None}

    def render(self, messages: Messages | str) -> str:
        """The prompt of a conversation, the assistant's turn opened; a plain text as it is.

        Raises:
            UsageError: The chat template refuses the messages.
        """
        if isinstance(messages, str):
            begins = self.tokenizer("")["input_ids"][:1] == [self.tokenizer.bos_token_id]
            return f"{self.tokenizer.bos_token}{messages}" if begins else messages
        return self._template(messages, add_generation_prompt=True)

    def turn(self, messages: Messages, response: str) -> str:
        """The assistant's turn as training sees it: what the template adds to the prompt."""
        whole = self._template([*messages, {"role": "assistant", "content": response}])
        prompt = self.render(messages)
        if whole.startswith(prompt):
            return whole[len(prompt) :]
        return f"{response}{self.tokenizer.eos_token}"  # templates that rewrite earlier turns

    def token_ids(self, text: str) -> list[int]:
        """Token ids of a rendered text; the template has written the special tokens already."""
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def text(self, ids: Sequence[int], *, special: bool = False) -> str:
        """The text of token ids, with or without the special tokens."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=not special))

    def _template(self, messages: Messages, **options: bool) -> str:
        try:
            text = self.tokenizer.apply_chat_template(
                [dict(message) for message in messages], tokenize=False, **options
            )
        except Exception as error:
            raise UsageError(f"the chat template refuses the messages: {error}") from error
        return str(text)


def _tokenizer(directory: Path, **options: Any) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(directory, trust_remote_code=False, **options)
