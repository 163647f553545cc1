"""Rendering of tool calls and their results, which many chat templates leave out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llmops.errors import UsageError

MARK = "llmopsmark"
"""Text whose rendering shows that a template writes what stood in its place."""

Messages = Sequence[Mapping[str, Any]]
Render = Callable[[Messages], str]


def rendered(messages: Messages, render: Render) -> str:
    """Render a conversation; refuse one whose tool turns the chat template would leave out.

    Args:
        messages: Messages of any role. A message with tool calls may have ``None`` as its content.
        render: Writes messages with the chat template.

    Raises:
        UsageError: The template writes no tool calls, or no results of tools.
    """
    if not any(_is_of_tools(message) for message in messages):
        return render(messages)
    problem = ""
    for content in ("", None):  # most templates write None as a word, some older ones ask for it
        given = [_with_content(message, content) for message in messages]
        problem = _left_out(given, render)
        if not problem:
            return render(given)
    raise UsageError(problem, next_command="send the conversation without tool turns")


def _left_out(messages: Messages, render: Render) -> str:
    """Return which tool turn the template does not write; an empty string if it writes them all."""
    marked = [_marked(message, f"{MARK}{i}x") for i, message in enumerate(messages)]
    text = render(marked)
    for i, message in enumerate(messages):
        if _is_of_tools(message) and f"{MARK}{i}x" not in text:
            what = "tool calls" if message.get("tool_calls") else "results of tools (role tool)"
            return f"messages[{i}]: the model's chat template does not write {what}"
    return ""


def _is_of_tools(message: Mapping[str, Any]) -> bool:
    return message["role"] == "tool" or bool(message.get("tool_calls"))


def _with_content(message: Mapping[str, Any], content: str | None) -> Mapping[str, Any]:
    return {**message, "content": content} if message["content"] is None else message


def _marked(message: Mapping[str, Any], mark: str) -> Mapping[str, Any]:
    """Return a message of tools with a mark as the result, or as the name of each function."""
    if not _is_of_tools(message):
        return message
    if message["role"] == "tool":
        return {**message, "content": mark}
    calls = [{**c, "function": {**c["function"], "name": mark}} for c in message["tool_calls"]]
    return {**message, "tool_calls": calls}
