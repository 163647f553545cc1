"""What was asked and answered is read out of an exchange, redacted, and bounded."""

from __future__ import annotations

import json
from typing import Any

import pytest
from exchanges import SECRET, broken_redact, line_of, odd_redact, redact

from llmops.errors import LlmopsError
from llmops.serve.traces import content
from llmops.serve.traces.content import Choice, Content

CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}}


def events(*deltas: dict[str, Any]) -> list[str]:
    return [json.dumps({"choices": [delta]}) for delta in deltas]


def test_a_whole_answer_is_read() -> None:
    found = content.read(line_of())
    assert found.messages == [{"role": "user", "content": "What is it?"}]
    assert found.choices == [Choice({"role": "assistant", "content": "A test."}, "stop")]


def test_several_choices_of_a_stream_are_told_apart_by_their_index() -> None:
    pieces = events(
        {"index": 1, "delta": {"role": "assistant", "content": "No"}},
        {"index": 0, "delta": {"content": "Ye"}},
        {"index": 0, "delta": {"content": "s"}, "finish_reason": None},
        {"index": 1, "delta": {}, "finish_reason": "length"},
        {"index": 0, "delta": {}, "finish_reason": "stop"},
    )
    found = content.read(line_of(answer="", events=pieces))
    assert [(c.message["content"], c.finish_reason) for c in found.choices] == [
        ("Yes", "stop"),
        ("No", "length"),
    ]


def test_tool_calls_are_put_together() -> None:
    whole = json.dumps({"choices": [{"message": {"content": None, "tool_calls": [CALL]}}]})
    pieces = events(
        {"delta": {"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "look"}}]}},
        {"delta": {"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]}},
        {"delta": {"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]}},
        {"delta": {"tool_calls": [{"index": 10**9, "function": {"arguments": "x"}}]}},
    )
    for line in (line_of(answer=whole), line_of(answer="", events=pieces)):
        (choice,) = content.read(line).choices
        assert choice.message["tool_calls"] == [CALL]


def test_a_prompt_without_messages_is_a_message_of_the_user() -> None:
    answer = json.dumps({"choices": [{"text": " a test", "finish_reason": "stop"}]})
    found = content.read(line_of(body={"prompt": "It is", "suffix": "."}, answer=answer))
    assert found.messages == [{"role": "user", "content": "It is"}]
    assert found.settings == {"suffix": "."}
    assert found.choices[0].message["content"] == " a test"


@pytest.mark.parametrize("answer", ["", "[]", "7", '{"choices": 7}', "{" * 10, "[" * 10_000])
def test_an_answer_of_another_shape_is_left_out(answer: str) -> None:
    assert content.read(line_of(answer=answer)).choices == []


def test_the_hook_gets_each_answer_and_a_copy_of_the_prompt() -> None:
    given = [{"role": "user", "content": SECRET}]
    answers = [Choice({"role": "assistant", "content": text}) for text in (SECRET, "none")]
    answers[0].message["reasoning_content"] = SECRET
    found = content.redacted(Content(given, {"user": SECRET}, answers), redact)
    assert SECRET not in json.dumps([found.messages, found.settings])
    assert [choice.message for choice in found.choices] == [
        {"role": "assistant", "content": "***"},
        {"role": "assistant", "content": "none"},
    ]
    assert given[0]["content"] == SECRET


def test_a_hook_that_raises_or_returns_anything_else_fails() -> None:
    whole = content.read(line_of())
    with pytest.raises(ValueError, match="cannot parse"):
        content.redacted(whole, broken_redact)
    with pytest.raises((TypeError, ValueError)):
        content.redacted(whole, odd_redact)
    with pytest.raises(TypeError, match="something else"):
        content.redacted(whole, lambda messages, answer: (["x"], answer))  # type: ignore[arg-type,return-value]


def test_a_hook_is_found_by_its_name() -> None:
    assert content.load_redact("exchanges:redact") is redact
    for name, says in (
        ("no_such_module:f", "cannot be imported: ModuleNotFoundError"),
        ("exchanges:no_function", "cannot be imported: AttributeError"),
        ("exchanges:SECRET", "SECRET is a str, not a function"),
    ):
        with pytest.raises(LlmopsError, match=says):
            content.load_redact(name)


def test_texts_are_cut_to_a_common_limit() -> None:
    cut = content.bounded({"messages": [{"content": "x" * 80}, {"content": "y" * 80}]}, 150)
    assert len(json.dumps(cut)) < 250
    assert cut["messages"][0]["content"] == "x" * 80
    assert cut["messages"][1]["content"].endswith("y…")
    assert len(content.bounded([0] * 1_000_000)) < content.LIMIT
    assert content.bounded({"a": [1, None, True]}) == {"a": [1, None, True]}


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([], ""),
        ([{"content": "a"}, {"content": "b"}], "b"),
        ([{"content": [{"type": "text", "text": "a"}, {"type": "image_url"}]}], "a"),
        ([{"content": None}], ""),
        ([{"content": [[1, 2]]}], ""),
    ],
)
def test_the_last_message_is_the_preview(messages: list[dict[str, Any]], text: str) -> None:
    assert content.text_of(messages) == text
