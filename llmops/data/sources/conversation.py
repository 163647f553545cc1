"""Training examples from a conversation: OpenAI's messages, or the turns of ShareGPT."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from llmops.engine.openai.errors import RequestError, shown
from llmops.engine.openai.messages import read_message
from llmops.errors import DataError
from llmops.records import Message

LIST = "messages"
"""Usual name of a column with conversations."""
SHAPE = "a list of {role, content} with an answer of the assistant"
SHAREGPT = {"human": "user", "gpt": "assistant"}
"""Roles of ShareGPT, whose turns are ``{from, value}``, and those of OpenAI."""
ROLES = ("system", "user", "assistant")


def examples_of(where: str, given: Any, system: str | None = None) -> Iterator[dict[str, Any]]:
    """Yield an example for each answer: the turns before it, and the answer.

    Args:
        where: Place of the conversation, for errors.
        given: A list of turns, or that list as JSON.
        system: System message of a conversation that has none.

    Raises:
        DataError: It is no conversation, or has no answer.
    """
    turns = _turns(where, given)
    if system and turns[0]["role"] != "system":
        turns = [{"role": "system", "content": system}, *turns]
    answers = [i for i, turn in enumerate(turns) if turn["role"] == "assistant"]
    if not answers:
        raise DataError(f"{where}: expected {SHAPE}, received no answer")
    for number in answers:
        if number == 0 or turns[number - 1]["role"] != "user":
            raise DataError(f"{where}[{number}]: an answer must follow a turn of the user")
        yield {"messages": turns[:number], "completion": turns[number]["content"]}


def _turns(where: str, given: Any) -> list[Message]:
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{where}: expected {SHAPE}, received text that is not JSON ({error})"
            ) from error
    if not isinstance(given, list) or not given:
        raise DataError(f"{where}: expected {SHAPE}, received {shown(given)}")
    return [
        _turn(f"{where}[{number}]", turn, first=number == 0) for number, turn in enumerate(given)
    ]


def _turn(where: str, turn: Any, *, first: bool) -> Message:
    if isinstance(turn, Mapping) and "from" in turn and "role" not in turn:
        role = SHAREGPT.get(str(turn["from"]), turn["from"])
        turn = {"role": role, "content": turn.get("value")}
    try:
        message = read_message(turn, where, ROLES if first else ROLES[1:])
    except RequestError as error:
        raise DataError(error.message, next_command=error.next_command) from None
    if not message["content"].strip():
        raise DataError(f"{where}: content must be text, received {shown(message['content'])}")
    return message
