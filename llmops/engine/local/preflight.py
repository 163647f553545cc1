"""Whether a model could be loaded and asked, tried before it is stored and without its weights."""

from __future__ import annotations

from pathlib import Path

from llmops.engine.chat_format import ChatFormat, load_tokenizer
from llmops.engine.local.loading import check_weights
from llmops.errors import IntegrityError, UsageError
from llmops.models import generation_config

GREETING = [{"role": "user", "content": "Hello."}]


def check_model(directory: Path) -> None:
    """Refuses a model directory that could not be loaded or asked later.

    Args:
        directory: Files that are known to be safe.

    Raises:
        UsageError: No tokenizer, or generation settings that llmops does not do.
        IntegrityError: Configuration, weights, tokenizer or chat template do not work.
    """
    if not any(directory.glob("tokenizer*")):
        raise UsageError(
            f"{directory}: has no tokenizer, without which the model cannot be asked",
            next_command="put the tokenizer beside the model, or log_model(…, tokenizer=TOKENIZER)",
        )
    _check_template(
        ChatFormat(load_tokenizer(directory), generation_config.of_model(directory)), directory
    )
    check_weights(directory)


def check_tokenizer(own: Path, base: Path) -> None:
    """The same for what an adapter brings of its own."""
    _check_template(ChatFormat.of_folders(own, base), own)


def _check_template(chat_format: ChatFormat, directory: Path) -> None:
    """A template may refuse a greeting; it may not be anything but a template."""
    from jinja2 import TemplateSyntaxError

    if chat_format.tokenizer.chat_template is None:
        return
    try:
        chat_format.render(GREETING)
    except UsageError as error:
        if isinstance(error.__cause__, TemplateSyntaxError):
            raise IntegrityError(
                f"{directory}: the chat template is damaged: {error.__cause__}"
            ) from error
