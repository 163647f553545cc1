from __future__ import annotations

from typing import Any

import pytest

from llmops.engine.openai.errors import RequestError
from llmops.engine.openai.messages import WHOLE, read_message, read_messages

CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": [1]}'}}


@pytest.mark.parametrize("role", ["system", "user", "assistant", "tool"])
def test_roles(role: str) -> None:
    assert read_message({"role": role, "content": "a"}, "m") == {"role": role, "content": "a"}


def test_parts_are_joined() -> None:
    parts = [{"type": "text", "text": "a "}, {"type": "text", "text": "b", "annotations": None}]
    assert read_message({"role": "user", "content": parts}, "m")["content"] == "a b"


@pytest.mark.parametrize(
    "more",
    [
        {"refusal": None, "tool_calls": None, "tool_call_id": None},
        {"audio": None, "annotations": [], "function_call": None, "tool_calls": [], "parsed": None},
        {"provider_specific_fields": {"refusal": None}, "reasoning_content": "Let me think."},
        {"name": "ann", "id": "run-1", "type": "ai", "example": False, "tool_call_chunks": []},
        {"cache_control": {"type": "ephemeral"}, "reasoning_details": [{"type": "text"}]},
    ],
)
def test_empty_keys_and_labels_are_ignored(more: dict[str, Any]) -> None:
    for content in ("", "x"):
        message = {"role": "assistant", "content": content}
        assert read_message({**message, **more}, "m") == message


def test_developer_means_system() -> None:
    message = {"role": "developer", "content": "a"}
    assert read_message(message, "m") == {"role": "system", "content": "a"}
    assert read_message(message, "m", ("system", "user")) == {"role": "system", "content": "a"}
    with pytest.raises(RequestError, match="m: role 'system'; allowed here: user"):
        read_message(message, "m", ("user",))


@pytest.mark.parametrize("arguments", ['{"a": [1]}', {"a": [1]}])
def test_tool_calls_keep_their_arguments_as_an_object(arguments: object) -> None:
    call = {**CALL, "index": 0, "function": {"name": "f", "arguments": arguments}}
    read = read_message({"role": "assistant", "content": None, "tool_calls": [call]}, "m")
    function = {"name": "f", "arguments": {"a": [1]}}
    calls = [{"id": "c", "type": "function", "function": function}]
    assert read == {"role": "assistant", "content": None, "tool_calls": calls}
    with_text = {"role": "assistant", "content": "Let me see.", "tool_calls": [call]}
    assert read_message(with_text, "m") == {**read, "content": "Let me see."}


@pytest.mark.parametrize("arguments", ["", None, "{}"])
def test_a_tool_call_may_have_no_arguments(arguments: str | None) -> None:
    call = {"function": {"name": "f", "arguments": arguments}}
    (read,) = read_message({"role": "assistant", "tool_calls": [call]}, "m")["tool_calls"]
    assert read == {"type": "function", "function": {"name": "f", "arguments": {}}}


def test_a_result_of_a_tool_keeps_the_id_of_its_call() -> None:
    message = {"role": "tool", "content": "3", "tool_call_id": "c"}
    assert read_message({**message, "name": "f"}, "m") == message


def test_a_place_without_tools_allows_no_calls_either() -> None:
    message = {"role": "assistant", "content": "", "tool_calls": [CALL]}
    with pytest.raises(RequestError, match="m: tool_calls: no tools are allowed here"):
        read_message(message, "m", ("user", "assistant"))


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ("hi", "m: expected {role, content}, received 'hi'"),
        (None, "m: expected {role, content}, received None"),
        ({"content": "x"}, "m: role None; allowed here: system, user, assistant, tool"),
        ({"role": "function", "content": "x"}, "m: role 'function'; allowed here: system, user"),
        ({"role": ["user"], "content": "x"}, "m: role ['user']; allowed here"),
        ({"role": "user"}, "m: content must be text, received None"),
        ({"role": "user", "content": 5}, "m: content must be text, received 5"),
        ({"role": "user", "content": []}, "m: content must be text, received []"),
        ({"role": "user", "content": ["a"]}, "m: content[0] must be a part of type text, received"),
        (
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url"}]},
            "m: content[1] has type 'image_url'; allowed: text",
        ),
        ({"role": "user", "content": [{"text": "a"}]}, "m: content[0] has type None"),
        ({"role": "user", "content": [{"type": "text"}]}, "m: content[0] must hold text, received"),
        (
            {"role": "user", "content": [{"type": "text", "text": "a", "voice": 1}]},
            "m: content[0] has an unknown key 'voice'; allowed: type, text",
        ),
        (
            {"role": "user", "content": "x", "prefix": True},
            "m: unknown key 'prefix'; allowed: role, c",
        ),
        ({"role": "user", "content": "x", 3: 4}, "m: unknown key 3"),
        ({"role": "user", "content": "a\ud800"}, "m: holds half of a character ('\\ud800' at 1)"),
        (
            {"role": "assistant", "content": None, "refusal": "I cannot."},
            "m: unknown key 'refusal'",
        ),
        (
            {"role": "assistant", "content": "", "function_call": {"name": "f"}},
            "m: unknown key 'function_call'",
        ),
        (
            {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]},
            "m: tool_calls[0].function.arguments must be as in {id, type: function, function: {name,",
        ),
        (
            {"role": "assistant", "tool_calls": [{"function": {"arguments": '"\\ud800"'}}]},
            "m: tool_calls[0].function.name must be as in {id",
        ),
        ({"role": "assistant", "tool_calls": "f"}, "m: tool_calls must be a list of {id, type"),
        (
            {"role": "user", "content": "x", "tool_calls": [CALL]},
            "m: tool_calls: allowed with role",
        ),
        ({"role": "user", "content": "x", "tool_call_id": "c"}, "m: tool_call_id: allowed with"),
        ({"role": "tool", "content": "x", "tool_call_id": 5}, "m: tool_call_id must be text"),
        (
            {"role": "user", "content": [{"type": "text", "text": "\udc00"}]},
            "m: holds half of a character",
        ),
    ],
)
def test_what_is_no_message_is_refused_with_its_place(message: Any, says: str) -> None:
    with pytest.raises(RequestError) as refused:
        read_message(message, "m")
    assert says in refused.value.message
    assert refused.value.param == "messages"
    assert refused.value.next_command == (WHOLE if "half" in says else None)


def test_a_place_may_allow_fewer_roles() -> None:
    system = {"role": "system", "content": "a"}
    for wrong in (system, {**system, "role": "human"}):
        with pytest.raises(RequestError, match=f"{wrong['role']}'; allowed here: user, assist"):
            read_message(wrong, "m", ("user", "assistant"))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (None, "messages: required"),
        ([], "messages: must be a non-empty list of {role, content}, received []"),
        ({"role": "user", "content": "x"}, "messages: must be a non-empty list"),
        ([{"role": "user", "content": "x"}, 5], "messages[1]: expected {role, content}"),
    ],
)
def test_what_is_no_conversation_is_refused(given: Any, says: str) -> None:
    with pytest.raises(RequestError) as refused:
        read_messages(given)
    assert says in refused.value.message
