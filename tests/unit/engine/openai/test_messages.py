from __future__ import annotations

from typing import Any

import pytest

from llmops.engine.openai.errors import RequestError
from llmops.engine.openai.messages import WHOLE, broken, read_message, read_messages


@pytest.mark.parametrize("role", ["system", "user", "assistant"])
def test_roles(role: str) -> None:
    assert read_message({"role": role, "content": "a"}, "m") == {"role": role, "content": "a"}


def test_parts_are_joined() -> None:
    parts = [{"type": "text", "text": "a "}, {"type": "text", "text": "b", "annotations": None}]
    assert read_message({"role": "user", "content": parts}, "m")["content"] == "a b"


def test_keys_that_are_null_count_as_absent() -> None:
    message = {"role": "assistant", "content": "", "refusal": None, "tool_calls": None}
    assert read_message(message, "m") == {"role": "assistant", "content": ""}


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ("hi", "m: expected {role, content}, received 'hi'"),
        (None, "m: expected {role, content}, received None"),
        ({"content": "x"}, "m: role None; allowed here: system, user, assistant"),
        ({"role": "tool", "content": "x"}, "m: role 'tool'; allowed here: system, user, assistant"),
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
            {"role": "user", "content": [{"type": "text", "text": "a", "cache": 1}]},
            "m: content[0] has an unknown key 'cache'; allowed: type, text",
        ),
        (
            {"role": "user", "content": "x", "name": "ann"},
            "m: unknown key 'name'; allowed: role, c",
        ),
        ({"role": "user", "content": "x", 3: 4}, "m: unknown key 3"),
        ({"role": "user", "content": "a\ud800"}, "m: holds half of a character ('\\ud800' at 1)"),
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


def test_what_utf_8_cannot_carry() -> None:
    assert broken("\U0001f600 é") is None
    assert broken("ab\udfff") == "holds half of a character ('\\udfff' at 2)"
