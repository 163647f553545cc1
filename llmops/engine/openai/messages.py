"""Read the messages of a conversation strictly; requests and suites share this reader.

A message has a role and a content, which is a text or a list of text parts; the parts are
concatenated. A key that is ``null`` counts as absent, because clients send complete message objects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from llmops.engine.openai.errors import RequestError, shown
from llmops.records import Message

Role = Literal["system", "user", "assistant"]
ROLES: tuple[str, ...] = get_args(Role)
"""Roles that a message may have."""
BROKEN = "half_character"
"""Type of the validation error for a text with half a character."""
WHOLE = "write the whole character, such as \\ud83d\\ude00, or leave it out"
"""The next step for a text with half a character."""


def broken(text: str) -> str | None:
    """Return why UTF-8 cannot encode a text, ``None`` if it can.

    JSON allows half of a surrogate pair; no file, store or tokenizer accepts it.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"holds half of a character ({text[error.start]!a} at {error.start})"
    return None


def _carried(text: str) -> str:
    if wrong := broken(text):
        raise PydanticCustomError(BROKEN, "{wrong}", {"wrong": wrong})
    return text


Text = Annotated[str, AfterValidator(_carried)]
"""A string that UTF-8 can encode."""


class Strict(BaseModel):
    """A model of a part of a request: no conversions, no unknown keys, ``null`` counts as absent."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        return {key: value for key, value in given.items() if value is not None}


class Part(Strict):
    """A part of a content; types other than text are refused."""

    type: Literal["text"]
    text: Text


class Turn(Strict):
    """A message with its role and its content."""

    role: Role
    content: Annotated[
        Annotated[Text, Tag("text")] | Annotated[list[Part], Tag("parts"), Field(min_length=1)],
        Discriminator(lambda value: "parts" if isinstance(value, list) else "text"),
    ]

    def message(self) -> Message:
        """Return the message with its content as one text."""
        parts = self.content
        text = parts if isinstance(parts, str) else "".join(part.text for part in parts)
        return {"role": self.role, "content": text}


def read_messages(given: object) -> list[Message]:
    """Read the ``messages`` of a request.

    Raises:
        RequestError: The messages are missing, not a list or empty, or one of them is invalid.
    """
    if given is None:
        raise RequestError("messages: required, a list of {role, content}", param="messages")
    if not isinstance(given, list) or not given:
        raise RequestError(
            f"messages: must be a non-empty list of {{role, content}}, received {shown(given)}",
            param="messages",
        )
    return [read_message(turn, f"messages[{i}]") for i, turn in enumerate(given)]


def read_message(given: object, where: str, roles: Sequence[str] = ROLES) -> Message:
    """Read one message.

    Args:
        given: A mapping with ``role`` and ``content``.
        where: Its place in the request or file, for the error message.
        roles: Allowed roles.

    Raises:
        RequestError: It is not a message, or its role is not allowed.
    """
    try:
        message = Turn.model_validate(given).message()
    except ValidationError as error:
        wrong = error.errors()[0]
        next_step = WHOLE if wrong["type"] == BROKEN else None
        raise RequestError(
            f"{where}: {_words(wrong, roles)}", param="messages", next_command=next_step
        ) from None
    if message["role"] not in roles:
        raise RequestError(f"{where}: {_role(message['role'], roles)}", param="messages")
    return message


def _words(error: ErrorDetails, roles: Sequence[str]) -> str:
    """Return a validation error of a message as text."""
    path = error["loc"]
    received = None if error["type"] == "missing" else error["input"]
    if not path:
        return f"expected {{role, content}}, received {shown(received)}"
    if path[0] == "role":
        return _role(received, roles)
    if path[0] != "content":
        return f"unknown key {path[0]!r}; allowed: role, content"
    if error["type"] == BROKEN:
        return error["msg"]
    if len(path) < 3:
        return f"content must be text, received {shown(received)}"
    return f"content[{path[2]}] {_part_words(path[3:], received)}"


def _role(received: object, roles: Sequence[str]) -> str:
    return f"role {shown(received)}; allowed here: {', '.join(roles)}"


def _part_words(path: tuple[int | str, ...], received: object) -> str:
    if not path:
        return f"must be a part of type text, received {shown(received)}"
    if path[0] == "type":
        return f"has type {shown(received)}; allowed: text"
    if path[0] == "text":
        return f"must hold text, received {shown(received)}"
    return f"has an unknown key {path[0]!r}; allowed: type, text"
