"""Tokenizer, chat template and generation settings of a side.

A version may have its own tokenizer, chat template or generation configuration; whatever it lacks
comes from its base model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from llmops.engine.tool_turns import rendered
from llmops.errors import IntegrityError, LlmopsError, UsageError, first_line
from llmops.models import generation_config
from llmops.models.foreign import templates
from llmops.models.generation_config import Generation
from llmops.records import ModelFiles

Messages = Sequence[Mapping[str, Any]]
"""Messages with ``role`` and ``content``, oldest first; those of tools have more keys."""
TEMPLATE = "chat_template.jinja"
NO_TEMPLATE = (
    "the model has no chat template and can only continue texts; to answer messages, log it with a"
    " tokenizer that has a chat_template: log_model(…, tokenizer=TOKENIZER)"
)
TOKENIZER = ("tokenizer_config.json", "tokenizer.json")
"""Files any of which make a version's own tokenizer."""


class ChatFormat:
    """A tokenizer with its chat template, and the model's generation settings.

    Args:
        tokenizer: A tokenizer from transformers.
        settings: End tokens, suppressed tokens and repetition penalty of the model.
    """

    def __init__(self, tokenizer: Any, settings: Generation) -> None:
        self.tokenizer = tokenizer
        self.generation = settings

    @property
    def pad_id(self) -> int:
        """The padding token of a batch; it is masked out, so any token will do."""
        pad, end = self.tokenizer.pad_token_id, self.tokenizer.eos_token_id
        return int(next((i for i in (pad, end) if i is not None), 0))

    @cached_property
    def longest_token(self) -> int:
        """Most characters that a token stands for."""
        return max(map(len, self.tokenizer.get_vocab()))

    @classmethod
    def of(cls, side: ModelFiles) -> ChatFormat:
        """Load the chat format of a side.

        Raises:
            IntegrityError: A file is damaged.
        """
        return cls.of_folders(side.tokenizer_dir, side.base.directory)

    @classmethod
    def of_folders(cls, own: Path | None, base: Path) -> ChatFormat:
        """Load the chat format of a version from its folders.

        Args:
            own: Folder of the version's own tokenizer, chat template or generation configuration;
                ``None`` if it has none of these.
            base: Folder of the base model.

        Raises:
            IntegrityError: A file is damaged.
        """
        tokenizer = load_tokenizer(base)
        if own is None:
            return cls(tokenizer, generation_config.of_model(base))
        if any((own / name).is_file() for name in TOKENIZER):
            from transformers import AutoConfig

            template = tokenizer.chat_template
            tokenizer = load_tokenizer(own, config=AutoConfig.from_pretrained(base))
            tokenizer.chat_template = tokenizer.chat_template or template
        if (own / TEMPLATE).is_file():
            tokenizer.chat_template = (own / TEMPLATE).read_text(encoding="utf-8")
        configured = own / generation_config.FILE
        settings = (
            generation_config.read(configured)
            if configured.is_file()
            else generation_config.of_model(base)
        )
        return cls(tokenizer, settings)

    @property
    def end_ids(self) -> set[int]:
        """Tokens that end an answer."""
        return {*self.generation.end_ids} | {
            i for i in (self.tokenizer.eos_token_id,) if i is not None
        }

    def render(self, messages: Messages | str) -> str:
        """Render a conversation to the text of its prompt, up to the start of the assistant's turn.

        A plain text stays as it is, after the beginning-of-text token if the tokenizer adds one.

        Raises:
            UsageError: The chat template refuses the messages.
        """
        if isinstance(messages, str):
            begins = self.tokenizer("")["input_ids"][:1] == [self.tokenizer.bos_token_id]
            return f"{self.tokenizer.bos_token}{messages}" if begins else messages
        return rendered(messages, partial(self._template, add_generation_prompt=True))

    def turn(self, messages: Messages, response: str) -> str:
        """Return the assistant's turn as in training: what the template adds to the prompt.

        Raises:
            UsageError: The chat template refuses the messages.
        """
        whole = self._template([*messages, {"role": "assistant", "content": response}])
        prompt = self.render(messages)
        if whole.startswith(prompt):
            return whole[len(prompt) :]
        return f"{response}{self.tokenizer.eos_token}"  # templates that rewrite earlier turns

    def token_ids(self, text: str) -> list[int]:
        """Return the token ids of a rendered text, which already contains the special tokens."""
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def text(self, ids: Sequence[int], *, special: bool = False) -> str:
        """Decode token ids to text, with or without the special tokens."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=not special))

    def _template(self, messages: Messages, **options: bool) -> str:
        if self.tokenizer.chat_template is None:
            raise UsageError(NO_TEMPLATE)
        try:
            return templates.render(self.tokenizer, messages, **options)
        except LlmopsError:
            raise
        except Exception as error:
            raise UsageError(f"the chat template refuses the messages: {error}") from error


def load_tokenizer(directory: Path, **options: Any) -> Any:
    """Load a tokenizer.

    Args:
        directory: Folder of its files; code in them is never run.
        **options: Further arguments of ``AutoTokenizer.from_pretrained``.

    Raises:
        IntegrityError: transformers cannot load a tokenizer from these files.
    """
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(directory, trust_remote_code=False, **options)
    except Exception as error:  # malformed files can raise anything
        reason = first_line(error)
        raise IntegrityError(f"{directory}: the tokenizer cannot be loaded: {reason}") from error
