from __future__ import annotations

import json
import time
from typing import Any

import pytest
from fake_process import version

from llmops.serve.gateway.hooks import Caller, Exchange
from llmops.serve.gateway.proxy.events import LAST, of_json
from llmops.serve.gateway.proxy.stream import EngineFailed, Stream, count


def exchange() -> Exchange:
    return Exchange("/v1/chat/completions", {}, version(7), Caller(None), True, time.time())


def stream(*, usage: bool = False, keep: bool = False) -> tuple[Stream, Exchange]:
    one = exchange()
    return Stream(one, time.perf_counter(), usage=usage, keep=keep), one


def chunk(text: str | None = None, **fields: Any) -> bytes:
    delta = {"role": "assistant", "content": ""} if text is None else {"content": text}
    return of_json({"model": "bot@v7", "choices": [{"index": 0, "delta": delta}], **fields})


USAGE = of_json(
    {"model": "bot@v7", "choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 9}}
)


def test_events_pass_as_they_came() -> None:
    one, _ = stream()
    spaced = b'data:  {"model":"bot@v7","choices":[]}\r\n\r\n'
    assert one.take(chunk("a") + spaced + chunk("b")) == chunk("a") + spaced + chunk("b")
    assert not one.done
    assert one.take(chunk("c") + LAST + chunk("late")) == chunk("c")
    assert one.done


@pytest.mark.parametrize("wanted", [True, False])
def test_token_counts_are_read_and_hidden_from_who_did_not_ask(wanted: bool) -> None:
    one, kept = stream(usage=wanted)
    assert one.take(chunk("a") + USAGE + LAST) == chunk("a") + (USAGE if wanted else b"")
    assert (kept.prompt_tokens, kept.completion_tokens) == (5, 9)


def test_a_stream_that_breaks_off_counts_its_events() -> None:
    one, kept = stream()
    one.take(chunk("a") + chunk("b"))
    assert kept.completion_tokens == 2
    assert kept.prompt_tokens is None


def test_the_first_token_is_not_the_role() -> None:
    one, kept = stream()
    one.take(chunk())
    assert kept.first is None
    one.take(chunk("a"))
    assert kept.first is not None


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"choices": [\n\n',
        b"data: 5\n\n",
        b'data: {"model": "bot@v8", "choices": []}\n\n',
        b'data: {"choices": 5}\n\n',
        b'data: {"choices": [5]}\n\n',
    ],
)
def test_what_came_before_a_malformed_event_is_passed_on(event: bytes) -> None:
    one, _ = stream()
    assert one.take(chunk("a") + event + chunk("b")) == chunk("a")
    assert one.failure is not None
    assert not one.done


def test_an_error_event_of_the_engine_is_not_passed_on() -> None:
    one, _ = stream()
    error = of_json({"error": {"message": "/opt/secret/path.py failed"}})
    assert one.take(chunk("a") + error + LAST) == chunk("a")
    assert isinstance(one.failure, EngineFailed)


def test_events_are_kept_for_the_record_only_on_request() -> None:
    for keep in (True, False):
        one, kept = stream(keep=keep)
        one.take(chunk("a") + b": ping\n\n" + USAGE)
        assert [json.loads(e)["choices"][0]["delta"]["content"] for e in kept.events] == (
            ["a"] if keep else []
        )


def test_counts_that_are_no_numbers_are_ignored() -> None:
    one = exchange()
    count(one, {"prompt_tokens": "5", "completion_tokens": 3})
    assert (one.prompt_tokens, one.completion_tokens) == (None, 3)
    count(one, None)
    assert one.completion_tokens == 3
