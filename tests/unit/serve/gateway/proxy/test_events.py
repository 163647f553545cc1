from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops.serve.gateway.proxy import events
from llmops.serve.gateway.proxy.events import Malformed, Splitter

WHOLE = b'data: {"a": 1}\n\n: ping\n\ndata: {"b": "\xc3\xbc"}\r\n\r\ndata: [DONE]\n\n'
PARTS = [b'data: {"a": 1}\n\n', b": ping\n\n", b'data: {"b": "\xc3\xbc"}\r\n\r\n', events.LAST]


@given(st.lists(st.integers(0, len(WHOLE)), max_size=12))
def test_events_are_the_same_however_they_were_cut(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(WHOLE)]
    splitter, found = Splitter(), list[bytes]()
    for begin, end in pairwise(edges):
        found += splitter.feed(WHOLE[begin:end])
    assert b"".join(found) == WHOLE
    assert [events.data(event) for event in found if events.data(event)] == [
        b'{"a": 1}',
        b'{"b": "\xc3\xbc"}',
        b"[DONE]",
    ]
    assert splitter.rest == b""


def test_a_half_event_waits() -> None:
    splitter = Splitter()
    assert list(splitter.feed(b"data: {")) == []
    assert splitter.rest == b"data: {"
    assert list(splitter.feed(b"}\n\n")) == [b"data: {}\n\n"]


def test_an_event_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MAX_EVENT", 10)
    with pytest.raises(Malformed):
        list(Splitter().feed(b"data: " + b"a" * 10))


def test_data_of_several_lines_and_of_comments() -> None:
    assert events.data(b"event: x\ndata: a\ndata: b\n\n") == b"a\nb"
    assert events.data(b": ping\n\n") is None
    assert events.data(b"data:x\n\n") == b"x"


def test_an_answer_of_another_model_is_refused() -> None:
    assert events.read(b'{"model": "bot@v7", "a": 1}', "bot@v7")["a"] == 1
    assert events.read(b'{"a": 1}', "bot@v7") == {"a": 1}
    with pytest.raises(Malformed, match="another model"):
        events.read(b'{"model": "bot@v8"}', "bot@v7")


@pytest.mark.parametrize("payload", [b"", b"{", b"[1]", b"null", b"\xff", b"[" * 100_000])
def test_what_is_not_an_object_is_refused(payload: bytes) -> None:
    with pytest.raises(Malformed):
        events.read(payload, "bot@v7")


def test_an_event_of_ours_is_one() -> None:
    (event,) = Splitter().feed(events.of_json({"error": {"message": "a\nb"}}))
    assert json.loads(events.data(event) or b"") == {"error": {"message": "a\nb"}}
