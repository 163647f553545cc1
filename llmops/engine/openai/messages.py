"""Read the messages of a conversation strictly; requests and suites share this reader.

A message has a role and a content, which is a text or a list of text parts; the parts are
concatenated. Role ``developer`` means ``system``. An assistant's message may have tool calls instead
of a content, and a message with role ``tool`` answers one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from llmops.engine.openai.errors import RequestError, shown
from llmops.engine.openai.turns import BROKEN, UNFIT, Turn
from llmops.records import Message

ROLES = ("system", "user", "assistant", "tool")
"""Roles that a message may have."""
SPOKEN = ("user", "assistant")
"""Roles of the turns of a conversation in a file, but for a system message before them."""
CALL = "{id, type: function, function: {name, arguments: a JSON object as text}}"
"""Shape of a tool call."""
WHOLE = "write the whole character, such as \\ud83d\\ude00, or leave it out"
"""The next step for a text with half a character."""


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


def read_conversation(given: object, where: str, shape: str) -> list[Message]:
    """Read a conversation of a file: a list of turns, or that list as JSON, as in a cell of CSV.

    Args:
        given: The turns; only the first may be a system message, and no content may be blank.
        where: Its place in the file, for the error message.
        shape: What is expected there, for the error message.

    Raises:
        RequestError: It is no conversation.
    """
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError) as error:
            raise RequestError(
                f"{where}: expected {shape}, received text that is not JSON ({error})"
            ) from error
    if hasattr(given, "tolist"):  # pandas returns a list as an array
        given = given.tolist()
    if not isinstance(given, (list, tuple)) or not given:
        raise RequestError(f"{where}: expected {shape}, received {shown(given)}")
    turns = []
    for number, turn in enumerate(given):
        message = read_message(
            turn, f"{where}[{number}]", SPOKEN if number else ("system", *SPOKEN)
        )
        if not message["content"].strip():
            raise RequestError(
                f"{where}[{number}]: content must be text, received {shown(message['content'])}"
            )
        turns.append(message)
    return turns


def read_message(given: object, where: str, roles: Sequence[str] = ROLES) -> Message:
    """Read one message.

    Args:
        given: A mapping with ``role`` and ``content``.
        where: Its place in the request or file, for the error message.
        roles: Allowed roles; tool calls are allowed if role ``tool`` is.

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
    if "tool_calls" in message and "tool" not in roles:
        raise RequestError(f"{where}: tool_calls: no tools are allowed here", param="messages")
    return message


def _words(error: ErrorDetails, roles: Sequence[str]) -> str:
    """Return a validation error of a message as text."""
    path = error["loc"]
    received = None if error["type"] == "missing" else error["input"]
    if error["type"] in (BROKEN, UNFIT):
        return error["msg"]
    if not path:
        return f"expected {{role, content}}, received {shown(received)}"
    if path[0] == "role":
        return _role(received, roles)
    if path[0] == "tool_calls":
        return f"{_place(path)} must be {_shape(path)}, received {shown(received)}"
    if path[0] == "tool_call_id":
        return f"tool_call_id must be text, received {shown(received)}"
    if path[0] != "content":
        return f"unknown key {path[0]!r}; allowed: role, content, tool_calls, tool_call_id"
    if len(path) < 3:
        return f"content must be text, received {shown(received)}"
    return f"content[{path[2]}] {_part_words(path[3:], received)}"


def _role(received: object, roles: Sequence[str]) -> str:
    return f"role {shown(received)}; allowed here: {', '.join(roles)}"


def _place(path: tuple[int | str, ...]) -> str:
    """Return the place of a value in a message, such as ``tool_calls[0].function.name``."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return "".join(steps).removeprefix(".")


def _shape(path: tuple[int | str, ...]) -> str:
    return f"a list of {CALL}" if len(path) == 1 else f"as in {CALL}"


def _part_words(path: tuple[int | str, ...], received: object) -> str:
    if not path:
        return f"must be a part of type text, received {shown(received)}"
    if path[0] == "type":
        return f"has type {shown(received)}; allowed: text"
    if path[0] == "text":
        return f"must hold text, received {shown(received)}"
    return f"has an unknown key {path[0]!r}; allowed: type, text"
