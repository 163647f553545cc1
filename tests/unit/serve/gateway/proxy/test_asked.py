from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llmops.engine.openai.errors import RequestError
from llmops.serve.gateway.proxy.asked import MAX_DEPTH, read

HI = {"messages": [{"role": "user", "content": "hi"}]}


def asking(**fields: Any) -> bytes:
    return json.dumps({"model": "bot", **HI, **fields}).encode()


def test_what_the_gateway_does_not_know_reaches_the_engine_unchanged() -> None:
    fields = {"min_p": 0.1, "structured_outputs": {"regex": "a+"}, "ignore_eos": True, "ü": "日本"}
    asked = read(asking(**fields), 100)
    assert json.loads(asked.body("bot@v7")) == {"model": "bot@v7", **HI, **fields}
    assert asked.fields == {**HI, **fields}
    assert (asked.model, asked.stream) == ("bot", False)


def test_the_engine_is_always_given_the_version() -> None:
    for raw in (b'{"prompt": "a"}', b'{"model": null, "prompt": "a"}'):
        asked = read(raw, 100)
        assert asked.model is None
        assert json.loads(asked.body("bot@v7")) == {"model": "bot@v7", "prompt": "a"}
    assert read(b"{}", 100).body("bot@v7") == b'{"model":"bot@v7"}'
    twice = read(b'{"model": "a", "model": "b", "prompt": "x"}', 100)
    assert twice.model == "b"
    assert twice.body("bot@v7").count(b"model") == 1


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (None, False),
        ({}, False),
        ({"include_usage": False}, False),
        ({"include_usage": True}, True),
    ],
)
def test_a_stream_is_always_asked_for_its_token_counts(options: Any, wanted: bool) -> None:
    asked = read(asking(stream=True, stream_options=options), 100)
    assert asked.usage is wanted
    assert json.loads(asked.body("v"))["stream_options"]["include_usage"] is True
    assert "include_usage" not in (asked.fields["stream_options"] or {}) or options


def test_other_options_of_a_stream_are_kept() -> None:
    options = {"continuous_usage_stats": True}
    sent = json.loads(read(asking(stream=True, stream_options=options), 100).body("v"))
    assert sent["stream_options"] == {"continuous_usage_stats": True, "include_usage": True}
    assert "stream_options" not in json.loads(read(asking(), 100).body("v"))
    wrong = json.loads(read(asking(stream=True, stream_options=[1]), 100).body("v"))
    assert wrong["stream_options"] == [1], "the engine refuses it by name"


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("value", [101, 10**30, 1e9, "50", True, -2, float("inf"), [5]])
def test_an_answer_longer_than_allowed_is_refused_however_it_is_written(
    name: str, value: Any
) -> None:
    with pytest.raises(RequestError):
        read(asking(**{name: value}), 100)
    assert read(asking(**{name: 100}), 100).fields[name] == 100
    for no_limit in (None, -1):
        asked = read(asking(**{name: no_limit}), 100)
        assert asked.fields[name] is None
        assert json.loads(asked.body("v"))[name] is None, "an engine may take -1 for a number"


@pytest.mark.parametrize(
    "fields",
    [{"n": 129}, {"n": 1.5}, {"n": "2"}, {"prompt": ["a"] * 129}, {"prompt": ["a", "b"], "n": 65}],
)
def test_one_request_is_not_hundreds(fields: dict[str, Any]) -> None:
    with pytest.raises(RequestError):
        read(asking(**fields), 100)


def test_several_prompts_and_token_ids_are_allowed() -> None:
    read(asking(prompt=["a", "b"], n=64), 100)
    read(asking(prompt=list(range(1000))), 100)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "not JSON"),
        (b"[]", "must be a JSON object"),
        (b"{", "not JSON"),
        (b'{"a": NaN}', "not JSON"),
        (b'{"a": 1e999}', "infinite"),
        (b'{"a": "\\ud800"}', "surrogate"),
        (b'{"\xff": 1}', "not JSON"),
        (b'{"a": ' + b"1" * 5000 + b"}", "not JSON"),
        (b'{"a": ' + b"[" * 200_000, "not JSON"),
        (b'{"a": ' + b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1) + b"}", "nested"),
        (b'{"model": 5}', "model"),
        (b'{"stream": "yes"}', "stream"),
    ],
)
def test_what_no_engine_should_have_to_read_is_refused(raw: bytes, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        read(raw, 100)


def test_many_flat_lists_are_not_deep() -> None:
    rows = [{"role": "user", "content": [{"type": "text", "text": "a"}]} for _ in range(200)]
    assert len(read(json.dumps({"messages": rows}).encode(), 100).fields["messages"]) == 200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=10,
)
KNOWN = ("model", "messages", "prompt", "stream", "stream_options", "n", "max_tokens", "x")


@settings(max_examples=500, deadline=None)
@example(b'{"stream": true, "stream_options": {"include_usage": []}}')
@example(b'{"prompt": [[]], "n": 0}')
@given(st.dictionaries(st.sampled_from(KNOWN), JSON).map(lambda one: json.dumps(one).encode()))
def test_whatever_is_asked_is_refused_or_reaches_the_engine_as_json(raw: bytes) -> None:
    try:
        asked = read(raw, 100)
    except RequestError:
        return
    sent = json.loads(asked.body("bot@v7"))
    assert sent.pop("model") == "bot@v7"
    if not asked.stream:
        assert sent == asked.fields


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=200))
def test_bytes_that_are_no_request_are_refused(raw: bytes) -> None:
    with pytest.raises(RequestError):
        read(b"\x00" + raw, 100)
