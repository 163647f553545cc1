from __future__ import annotations

import json
from typing import Any

import pytest

from llmops.records import Sampling
from llmops.serve.worker.request import ApiError, parse

HI = [{"role": "user", "content": "hi"}]
NAMES = {"quickstart", "bot", "bot/3"}


def ask(chat: bool = True, **fields: Any):
    body = {"model": "bot", **({"messages": HI} if chat else {"prompt": "hi"}), **fields}
    return parse(json.dumps(body).encode(), chat=chat, names=NAMES)


def test_defaults_are_those_that_comparisons_use() -> None:
    asked = ask()
    assert asked.sampling == Sampling(max_tokens=None)
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
    assert asked.sampling == Sampling(9, 0.5, 0.9, 4, ("a", "b"))
    assert asked.stream
    assert asked.include_usage


def test_spellings_that_mean_the_same() -> None:
    assert ask(stop="END").sampling.stop == ("END",)
    assert ask(max_completion_tokens=5).sampling.max_tokens == 5
    assert ask(tools=None, seed=None, stop=None).sampling == Sampling(max_tokens=None)
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert ask(messages=[{"role": "user", "content": parts}]).prompt[0]["content"] == "ab"


@pytest.mark.parametrize("model", sorted(NAMES))
def test_every_name_of_the_model_is_accepted(model: str) -> None:
    ask(model=model)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": []}, "tools"),
        ({"logprobs": True}, "logprobs"),
        ({"temprature": 0}, "temprature"),
        ({"n": 2}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**63}, "seed"),
        ({"stop": ""}, "stop"),
        ({"stop": [1]}, "stop"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"model": 3}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "messages"),
        ({"messages": [{"role": "user", "content": "x", "name": "me"}]}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages"),
        ({"messages": [{"role": "user", "content": "\ud800"}]}, "messages"),
    ],
)
def test_what_cannot_be_served_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(ApiError) as refused:
        ask(**fields)
    assert refused.value.status == 400
    assert refused.value.param == param


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[1]", b"\xff", b"[" * 100_000, b'{"a":' + b"1" * 5000 + b"}"]
)
def test_a_body_that_is_no_object_is_refused(raw: bytes) -> None:
    with pytest.raises(ApiError) as refused:
        parse(raw, chat=True, names=NAMES)
    assert refused.value.status == 400


def test_another_model_is_not_found() -> None:
    with pytest.raises(ApiError, match="bot, bot/3, quickstart") as refused:
        ask(model="gpt-5")
    assert (refused.value.status, refused.value.code) == (404, "model_not_found")


def test_a_text_completion_takes_text() -> None:
    assert ask(chat=False).prompt == "hi"
    with pytest.raises(ApiError, match="prompt"):
        ask(chat=False, prompt=[1, 2])
    with pytest.raises(ApiError, match="messages"):
        ask(chat=False, messages=HI)
