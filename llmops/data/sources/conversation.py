"""Training examples from a conversation: OpenAI's messages, or the turns of ShareGPT."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from llmops.engine.openai.errors import RequestError
from llmops.engine.openai.messages import read_conversation
from llmops.errors import DataError
from llmops.records import Message

LIST = "messages"
"""Usual name of a column with conversations."""
SHAPE = "a list of {role, content} with an answer of the assistant"
SHAREGPT = {"human": "user", "gpt": "assistant"}
"""Roles of ShareGPT, whose turns are ``{from, value}``, and those of OpenAI."""


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
    try:
        return read_conversation(_as_openai(given), where, SHAPE)
    except RequestError as error:
        raise DataError(error.message, next_command=error.next_command) from None


def _as_openai(given: Any) -> Any:
    """Return turns of ShareGPT as those of OpenAI, and anything else as it is."""
    with suppress(ValueError, RecursionError):  # reported by the reader
        given = json.loads(given) if isinstance(given, str) else given
    if not isinstance(given, list):
        return given
    return [
        {"role": SHAREGPT.get(str(turn["from"]), turn["from"]), "content": turn.get("value")}
        if isinstance(turn, Mapping) and "from" in turn and "role" not in turn
        else turn
        for turn in given
    ]
