"""Tool turns in templates as models have them: written, written by the older rule, left out."""

from __future__ import annotations

from typing import Any

import pytest
from jinja2 import Environment

from llmops.engine.tool_turns import Messages, rendered
from llmops.errors import UsageError

CALL = {"id": "c", "type": "function", "function": {"name": "add", "arguments": {"a": 1}}}
ASKED = {"role": "user", "content": "1 + 2?"}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "content": "3", "tool_call_id": "c"}
PLAIN = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
"""The usual short template: it knows no tools, and writes None as a word."""
CURRENT = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% for c in m.tool_calls or [] %}"
    "[{{ c.function.name }} {{ c.function.arguments.a }}]{% endfor %}{% endfor %}"
)
OLDER = (
    "{% for m in messages %}{% if m.role == 'assistant' and m.content is none %}"
    "{% for c in m.tool_calls %}[{{ c.function.name }}]{% endfor %}"
    "{% else %}<{{ m.role }}>{{ m.content }}{% endif %}{% endfor %}"
)
NO_RESULTS = (
    "{% for m in messages %}{% if m.role != 'tool' %}<{{ m.role }}>{{ m.content }}"
    "{% for c in m.tool_calls or [] %}[{{ c.function.name }}]{% endfor %}{% endif %}{% endfor %}"
)


def written(template: str, *messages: dict[str, Any]) -> str:
    def render(given: Messages) -> str:
        return Environment().from_string(template).render(messages=given)

    return rendered(messages, render)


def test_turns_without_tools_are_rendered_once_and_as_they_are() -> None:
    seen: list[Messages] = []

    def render(given: Messages) -> str:
        seen.append(given)
        return "text"

    messages = [ASKED, {"role": "assistant", "content": "3"}]
    assert rendered(messages, render) == "text"
    assert seen == [messages]


def test_a_template_that_writes_tools_gets_no_word_for_a_null_content() -> None:
    text = written(CURRENT, ASKED, CALLED, RESULT)
    assert text == "<user>1 + 2?<assistant>[add 1]<tool>3"


def test_a_template_that_asks_for_null_gets_it() -> None:
    assert written(OLDER, ASKED, CALLED, RESULT) == "<user>1 + 2?[add]<tool>3"


def test_a_content_beside_calls_is_kept() -> None:
    called = {**CALLED, "content": "Let me see."}
    assert written(CURRENT, ASKED, called) == "<user>1 + 2?<assistant>Let me see.[add 1]"


@pytest.mark.parametrize(
    ("template", "messages", "says"),
    [
        (PLAIN, (ASKED, CALLED, RESULT), r"^messages\[1\]: .* does not write tool calls"),
        (PLAIN, (ASKED, {**CALLED, "content": "x"}), "does not write tool calls"),
        (
            NO_RESULTS,
            (ASKED, CALLED, RESULT),
            r"^messages\[2\]: .* does not write results of tools",
        ),
        (NO_RESULTS, (RESULT,), r"^messages\[0\]: .* does not write results of tools"),
    ],
)
def test_what_a_template_would_leave_out_is_refused(
    template: str, messages: tuple[dict[str, Any], ...], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        written(template, *messages)
