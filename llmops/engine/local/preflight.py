"""Check that a model can be loaded and prompted before it is stored, without reading its weights."""

from __future__ import annotations

from pathlib import Path

from llmops.engine.chat_format import NO_TEMPLATE, ChatFormat, load_tokenizer
from llmops.engine.local.loading import check_weights
from llmops.engine.sides import context_of
from llmops.errors import IntegrityError, UsageError
from llmops.models import generation_config
from llmops.progress import say

PROBE = [{"role": "user", "content": "Hello."}]
"""The conversation that tests a chat template."""


def check_model(directory: Path) -> None:
    """Refuse a model directory that could not be loaded or prompted later.

    Args:
        directory: Directory of files that are known to be safe.

    Raises:
        UsageError: The tokenizer or the context length is missing, or a generation setting is not
            supported.
        IntegrityError: Configuration, weights, tokenizer or chat template are damaged.
    """
    from transformers import AutoConfig

    if not any(directory.glob("tokenizer*")):
        raise UsageError(
            f"{directory}: has no tokenizer, which the model needs to read prompts",
            next_command="save the tokenizer there too, or pass log_model(…, tokenizer=TOKENIZER)",
        )
    _check_template(
        ChatFormat(load_tokenizer(directory), generation_config.of_model(directory)), directory
    )
    check_weights(directory)
    context_of(AutoConfig.from_pretrained(directory).get_text_config(), str(directory))


def check_tokenizer(own: Path, base: Path) -> None:
    """Refuse a damaged tokenizer, chat template or generation configuration of an adapter.

    Args:
        own: Folder of the adapter's own files.
        base: Folder of the base model, which provides the others.

    Raises:
        UsageError: A generation setting is not supported.
        IntegrityError: A file is damaged.
    """
    _check_template(ChatFormat.of_folders(own, base), own)


def _check_template(chat_format: ChatFormat, directory: Path) -> None:
    """Refuse a chat template with a syntax error; one may refuse these messages, though."""
    from jinja2 import TemplateSyntaxError

    template = chat_format.tokenizer.chat_template
    if template is None:
        say(f"warning: {NO_TEMPLATE}")
        return
    if isinstance(template, dict) and "default" not in template:
        raise UsageError(
            f"{directory}: has the chat templates {', '.join(sorted(template))}, and none of them is"
            " the 'default'",
            next_command="set tokenizer.chat_template to one of them and save the tokenizer again",
        )
    try:
        chat_format.render(PROBE)
    except UsageError as error:
        if isinstance(error.__cause__, TemplateSyntaxError):
            raise IntegrityError(
                f"{directory}: the chat template is damaged: {error.__cause__}"
            ) from error
