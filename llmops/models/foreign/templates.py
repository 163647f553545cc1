"""Chat templates, rendered by the limited process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llmops.errors import IntegrityError
from llmops.models.foreign.process import LIMITED

LONGEST = 1_000_000
"""Characters of a chat template; the longest of well-known models has some 30,000."""


def render(tokenizer: Any, messages: Sequence[Mapping[str, Any]], **options: Any) -> str:
    """Render a conversation as ``tokenizer.apply_chat_template(…, tokenize=False)`` does.

    Args:
        tokenizer: A tokenizer from transformers, with a chat template.
        messages: The conversation, of values that JSON can hold.
        **options: Further arguments of ``apply_chat_template`` that JSON can hold.

    Raises:
        IntegrityError: The template exceeds a limit of time, memory or length.
        TemplateSyntaxError: The template has a syntax error.
        TemplateError: The template refuses the conversation, or fails.
        ValueError: There is no template.
    """
    from jinja2 import TemplateError, TemplateSyntaxError
    from transformers import PreTrainedTokenizerBase

    if type(tokenizer).apply_chat_template is not PreTrainedTokenizerBase.apply_chat_template:
        # a tokenizer with a format in its own code, such as Mistral's
        return str(tokenizer.apply_chat_template(messages, tokenize=False, **options))
    template = tokenizer.get_chat_template()
    if len(template) > LONGEST:
        raise IntegrityError(
            f"the chat template has {len(template):,} characters; allowed: {LONGEST:,}"
        )
    job = {
        "kind": "render",
        "template": template,
        "variables": _plain(tokenizer.special_tokens_map),
        "messages": [dict(message) for message in messages],
        "options": options,
    }
    reply = LIMITED.do("the chat template", job)
    if "text" in reply:
        return str(reply["text"])
    if reply["error"] == "TemplateSyntaxError":
        raise TemplateSyntaxError(str(reply["message"]), int(reply["line"] or 1))
    raise TemplateError(str(reply["message"]))


def _plain(tokens: Mapping[str, Any]) -> dict[str, Any]:
    """Return special tokens as texts; a tokenizer may hold them as objects."""
    return {
        name: [str(token) for token in value] if isinstance(value, (list, tuple)) else str(value)
        for name, value in tokens.items()
    }
