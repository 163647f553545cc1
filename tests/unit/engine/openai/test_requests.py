from __future__ import annotations

from typing import Any

import pytest

from llmops.engine.openai.errors import ApiError, RequestError
from llmops.engine.openai.requests import check_model, read_body, read_chat, read_completion
from llmops.records import Sampling

HI = [{"role": "user", "content": "hi"}]
NAMES = {"quickstart", "bot", "bot/3"}


def ask(**fields: Any) -> Any:
    return read_chat({"model": "bot", "messages": HI, **fields})


def test_defaults() -> None:
    asked = ask()
    assert asked.samplings == (Sampling(max_tokens=None, temperature=0, top_p=1),)
    assert asked.prompt == HI
    assert (asked.stream, asked.include_usage) == (False, False)


def test_every_parameter_arrives() -> None:
    asked = ask(
        max_tokens=9,
        temperature=0.5,
        top_p=0.9,
        seed=4,
        stop=["a", "b"],
        n=1,
        stream=True,
        stream_options={"include_usage": True},
        user="someone",
    )
    assert asked.samplings == (Sampling(9, 0.5, 0.9, 4, ("a", "b")),)
    assert asked.stream
    assert asked.include_usage


def test_spellings_that_mean_the_same() -> None:
    (sampling,) = ask(stop="END", max_completion_tokens=5).samplings
    assert sampling == Sampling(5, stop=("END",))
    assert ask(tools=None, seed=None, stop=None).samplings == ask().samplings
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert ask(messages=[{"role": "user", "content": parts}]).prompt[0]["content"] == "ab"


def test_what_a_request_lacks_is_taken_from_what_is_common() -> None:
    common = {"max_tokens": 7, "temperature": 0.5}
    asked = read_chat({"messages": HI, "max_completion_tokens": 3, "seed": None}, common)
    assert asked.samplings == (Sampling(3, 0.5),)


@pytest.mark.parametrize("model", sorted(NAMES))
def test_every_name_of_the_model_is_accepted(model: str) -> None:
    check_model({"model": model}, NAMES)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{}]}, "tools"),
        ({"logprobs": True}, "logprobs"),
        ({"temprature": 0}, "temprature"),
        ({"n": 129}, "n"),
        ({"n": 2, "stream": True}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"seed": -(2**63) - 1}, "seed"),
        ({"seed": 2**63}, "seed"),
        ({"stop": ""}, "stop"),
        ({"stop": [1]}, "stop"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"prompt": "hi"}, "prompt"),
        ({"stream_options": {"include_obfuscation": True}, "stream": True}, "stream_options"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [{"role": "function", "content": "x"}]}, "messages"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "messages"),
        ({"messages": [{"role": "user", "content": "x", "prefix": True}]}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages"),
        ({"messages": [{"role": "user", "content": "\ud800"}]}, "messages"),
    ],
)
def test_what_cannot_be_served_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as refused:
        ask(**fields)
    assert refused.value.param == param
    assert (refused.value.message).startswith(param)


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[1]", b"\xff", b"[" * 100_000, b'{"a":' + b"1" * 5000 + b"}"]
)
def test_a_body_that_is_no_object_is_refused(raw: bytes) -> None:
    with pytest.raises(RequestError, match="the body"):
        read_body(raw)


def test_a_body_is_an_object() -> None:
    assert read_body(b'{"messages": []}') == {"messages": []}


def test_another_model_is_not_found() -> None:
    with pytest.raises(ApiError, match="bot, bot/3, quickstart") as refused:
        check_model({"model": "gpt-5"}, NAMES)
    assert (refused.value.status, refused.value.code) == (404, "model_not_found")
    for nothing in ({}, {"model": None}, {"model": 3}):
        with pytest.raises(RequestError, match="model: required"):
            check_model(nothing, NAMES)


def test_a_text_completion_takes_text() -> None:
    assert read_completion({"prompt": "hi", "max_tokens": 2}).prompt == "hi"
    for wrong, says in (
        ({"prompt": [1, 2]}, r"prompt: must be text, received \[1, 2\]"),
        ({"prompt": "\udc00"}, "prompt: holds half of a character"),
        ({"prompt": None}, "prompt: required"),
        ({"prompt": "hi", "messages": HI}, "messages: not allowed in a completion"),
        ({"prompt": "hi", "n": 0}, "n: must be"),
    ):
        with pytest.raises(RequestError, match=says):
            read_completion(wrong)
