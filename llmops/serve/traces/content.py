"""What was asked and answered, read out of a finished exchange; redacted and bounded before it is kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from llmops.errors import LlmopsError

LIMIT = 100_000
"""Characters of a prompt, and of an answer, that are kept: stores refuse megabytes."""
MOST_CALLS = 128
"""Maximum number of tool calls of an answer that are kept."""
NOT_KEPT = ("messages", "prompt", "model", "stream_options")
"""Fields of a request that are kept in another shape, or say nothing."""

Message = dict[str, Any]
Redact = Callable[[list[Message], str], tuple[list[Message], str]]
"""Takes the messages of a prompt and the text of an answer, returns what may be recorded of both."""


@dataclass
class Choice:
    """One of the answers to a request.

    Attributes:
        message: Message of the assistant, as in OpenAI's answers.
        finish_reason: Such as ``stop``; ``None`` if it did not finish, or is unknown.
    """

    message: Message = field(default_factory=lambda: {"role": "assistant", "content": ""})
    finish_reason: str | None = None


@dataclass
class Content:
    """Prompt and answers of an exchange.

    Attributes:
        messages: The prompt; a prompt without messages is one message of the user.
        settings: Further fields of the request, such as ``tools``.
        choices: The answers.
    """

    messages: list[Message]
    settings: dict[str, Any]
    choices: list[Choice]


def read(record: Mapping[str, Any]) -> Content:
    """Return the content of an exchange; what its engine wrote in another shape is left out.

    Args:
        record: A line of the gateway, see ``recorder``.
    """
    body = record.get("body") or {}
    messages = body.get("messages")
    if not isinstance(messages, list):
        prompt = body.get("prompt")
        messages = [] if prompt is None else [{"role": "user", "content": prompt}]
    settings = {name: value for name, value in body.items() if name not in NOT_KEPT}
    return Content(messages, settings, _choices(record))


def _choices(record: Mapping[str, Any]) -> list[Choice]:
    found: dict[int, Choice] = {}
    for text in (*record.get("events", ()), record.get("answer") or "{}"):
        with suppress(ValueError, TypeError, AttributeError, RecursionError):
            for number, piece in enumerate(json.loads(text).get("choices") or ()):
                _add(found.setdefault(piece.get("index", number), Choice()), piece)
    return [found[index] for index in sorted(found)]


def _add(choice: Choice, piece: Mapping[str, Any]) -> None:
    """Add a piece of a stream, or a whole choice, to what is known of a choice."""
    choice.finish_reason = piece.get("finish_reason") or choice.finish_reason
    part = piece.get("delta") or piece.get("message") or {"content": piece.get("text")}
    for name, value in part.items():
        if name == "tool_calls" and value:
            _add_calls(choice.message.setdefault(name, []), value)
        elif isinstance(value, str) and name != "role":
            choice.message[name] = choice.message.get(name, "") + value


def _add_calls(calls: list[dict[str, Any]], pieces: Sequence[Mapping[str, Any]]) -> None:
    for number, piece in enumerate(pieces):
        place = piece.get("index", number)
        if not 0 <= place < MOST_CALLS:
            continue
        while len(calls) <= place:
            calls.append({"type": "function", "function": {"name": "", "arguments": ""}})
        call = calls[place]
        call.update({"id": piece["id"]} if piece.get("id") else {})
        for name, value in (piece.get("function") or {}).items():
            if isinstance(value, str):
                call["function"][name] = call["function"].get(name, "") + value


def load_redact(name: str) -> Redact:
    """Return the function ``MODULE:FUNCTION``.

    Raises:
        LlmopsError: It cannot be imported, or is not callable.
    """
    module, _, function = name.partition(":")
    try:
        found = getattr(import_module(module), function)
    except Exception as error:  # whatever a user's module does when it is imported
        raise LlmopsError(
            f"redact={name}: cannot be imported: {type(error).__name__}: {error}",
            next_command="install its package where llmops is, or name its folder in PYTHONPATH",
        ) from error
    if not callable(found):
        raise LlmopsError(f"redact={name}: {function} is a {type(found).__name__}, not a function")
    return found  # type: ignore[no-any-return]


def redacted(content: Content, redact: Redact) -> Content:
    """Return what may be recorded of a content: only what the function returns.

    Further settings, tool calls and reasoning are left out, for the function does not see them.

    Raises:
        Exception: Whatever the function raises.
        TypeError: It returns something else than messages and a text.
    """
    choices, messages = [], content.messages
    for choice in content.choices or [Choice()]:
        text = choice.message.get("content") or ""
        given = json.loads(json.dumps(content.messages))  # the function may change its argument
        messages, text = redact(given, text)
        if not isinstance(text, str) or not _are_messages(messages):
            raise TypeError("redact returned something else than (messages, text)")
        choices.append(Choice({"role": "assistant", "content": text}, choice.finish_reason))
    return Content(messages, {}, choices)


def _are_messages(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(message, dict) for message in value)


def bounded(value: Any, limit: int = LIMIT) -> Any:
    """Return JSON types with their text cut, so that it has at most ``limit`` characters altogether."""
    return _cut(value, [limit])


def _cut(value: Any, left: list[int]) -> Any:
    if isinstance(value, str):
        kept = value[: left[0]]
        left[0] -= len(kept)
        return kept if len(kept) == len(value) else f"{kept}…"
    if isinstance(value, Mapping):
        return {name[:200]: _cut(one, left) for name, one in _while(left, value.items())}
    if isinstance(value, list | tuple):
        return [_cut(one, left) for one in _while(left, value)]
    return value


def _while(left: list[int], items: Any) -> Iterator[Any]:
    """Yield items while there is room; each costs some characters, or a list of numbers had no limit."""
    for item in items:
        left[0] -= 8
        if left[0] <= 0:
            return
        yield item


def text_of(messages: Sequence[Mapping[str, Any]]) -> str:
    """Return the text of the last message, for a table."""
    content = messages[-1].get("content") if messages else ""
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, Mapping)]
        return "\n".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""
