"""One model over HTTP: what is sent, what is read, and what each failure becomes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count

import pytest
from chat_servers import CHOICE, FAILURES, Received, Says, replying

from llmops.engine.openai.client import ChatClient
from llmops.engine.openai.endpoint import Endpoint
from llmops.errors import ServeError, UsageError
from llmops.records import Answer, Sampling

HELLO = [{"role": "user", "content": "What is a KV cache?"}]
SAMPLING = Sampling(max_tokens=8)
FINE = (200, {"choices": [CHOICE]})


@contextmanager
def asking(
    says: Says, received: list[Received] | None = None, *, retries: int = 0
) -> Iterator[ChatClient]:
    """A client of a server whose model is a function."""
    with replying(says, received) as url:
        client = ChatClient(
            Endpoint(url, "bot"), key="secret", timeout=20, retries=retries, key_help="set KEY"
        )
        with closing(client):
            yield client


def reply(content: object, **changes: object) -> dict[str, object]:
    return {"choices": [{**CHOICE, "message": {"content": content}, **changes}]}


def events(*chunks: object) -> bytes:
    """A stream of chunks; text stands for a piece of the answer."""
    lines = [
        json.dumps({"choices": [{"index": 0, "delta": {"content": c}, "finish_reason": None}]})
        if isinstance(c, str)
        else json.dumps(c)
        for c in chunks
    ]
    return "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"]).encode()


END = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
USAGE = {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}}


def test_a_request_carries_the_key_and_what_the_sampling_sets() -> None:
    received: list[Received] = []
    whole = Sampling(max_tokens=3, temperature=0.5, top_p=0.9, seed=4, stop=("e", "g"))
    with asking(lambda _: FINE, received) as client:
        client.answer(HELLO, whole)
        client.answer(HELLO, Sampling(max_tokens=None))
    first, second = received
    assert first.key == second.key == "Bearer secret"
    assert first.body == {
        "model": "bot",
        "messages": HELLO,
        "max_tokens": 3,
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 4,
        "stop": ["e", "g"],
    }
    assert second.body == {"model": "bot", "messages": HELLO, "temperature": 0.0, "top_p": 1.0}


def test_an_answer_has_its_counts_its_reason_and_its_time() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    body = {**reply("fine", finish_reason="length"), "usage": usage}
    with asking(lambda _: (200, body)) as client:
        answer = client.answer(HELLO, SAMPLING)
    assert answer == Answer("fine", 2, 5, "length", seconds=answer.seconds)
    assert 0 < answer.seconds < 20


@pytest.mark.parametrize("failure", FAILURES)
def test_a_lasting_failure_is_an_empty_answer_with_a_reason_in_one_line(
    failure: tuple[int, object],
) -> None:
    with asking(lambda _: failure) as client:
        answer = client.answer(HELLO, SAMPLING)
    assert (answer.text, answer.tokens, answer.finish_reason) == ("", 0, "error")
    assert answer.error
    assert "\n" not in answer.error


@pytest.mark.parametrize("tokens", [None, "many", -5, math.nan, 3])
def test_a_count_that_is_not_a_number_is_no_tokens(tokens: object) -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": tokens, "total_tokens": 3}
    with asking(lambda _: (200, {"choices": [CHOICE], "usage": usage})) as client:
        answer = client.answer(HELLO, SAMPLING)
    assert (answer.text, answer.error) == ("fine", None)
    assert answer.tokens == (3 if tokens == 3 else 0)


def test_half_a_character_in_a_reply_is_replaced() -> None:
    with asking(lambda _: (200, reply("a\ud800b"))) as client:
        assert client.answer(HELLO, SAMPLING).text == "a\N{REPLACEMENT CHARACTER}b"


def test_a_failure_that_may_pass_is_retried() -> None:
    turns = count()
    received: list[Received] = []
    busy = (503, {"error": {"message": "busy"}})
    with asking(lambda _: FINE if next(turns) else busy, received, retries=1) as client:
        assert client.answer(HELLO, SAMPLING).error is None
    assert len(received) == 2


@pytest.mark.parametrize(
    ("status", "problem", "next_command"),
    [
        (401, r"the server refuses the key \(401\)", "set KEY"),
        (403, r"the server refuses the key \(403\)", "set KEY"),
        (404, "the server has no model 'bot': .*no such model", None),
    ],
)
def test_what_fails_every_prompt_is_the_user_s_mistake(
    status: int, problem: str, next_command: str | None
) -> None:
    with asking(lambda _: (status, {"error": {"message": "no such model"}})) as client:
        for ask in (client.answer, lambda *given: list(client.stream(*given))):
            with pytest.raises(UsageError, match=problem) as refused:
                ask(HELLO, SAMPLING)
            assert refused.value.next_command == next_command
            assert "secret" not in str(refused.value)


def test_a_stream_is_its_pieces_then_the_answer() -> None:
    body = events("It ca", "", "ches.\ud800", END, USAGE)
    received: list[Received] = []
    with asking(lambda _: (200, body), received) as client:
        *pieces, answer = client.stream(HELLO, SAMPLING)
    assert pieces == ["It ca", "ches.\N{REPLACEMENT CHARACTER}"]
    assert answer == Answer("".join(map(str, pieces)), 2, 5, "stop")
    assert received[0].body["stream"] is True
    assert received[0].body["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(
    ("status", "body", "error", "problem"),
    [
        (400, {"error": {"message": "too long"}}, UsageError, "too long"),
        (422, {"error": {"message": "no"}}, UsageError, "422"),
        (500, {}, ServeError, "500"),
        (200, events("It"), ServeError, "ended without a finish_reason"),
        (200, b'data: {"choices": [{"ind\n\n', ServeError, "the stream broke off"),
        (
            200,
            events("It", {"choices": [{"delta": {}, "finish_reason": "abort"}]}),
            ServeError,
            "the server broke off the answer",
        ),
    ],
)
def test_a_stream_that_fails_is_an_error(
    status: int, body: object, error: type[Exception], problem: str
) -> None:
    with (
        asking(lambda _: (status, body)) as client,
        pytest.raises(error, match=rf"^http://\S+: .*{problem}") as failed,
    ):
        list(client.stream(HELLO, SAMPLING))
    assert type(failed.value) is error


@pytest.mark.parametrize(("limit", "tokens"), [(None, 16), (200, 16), (8, 8)])
def test_a_server_is_probed_with_a_short_harmless_prompt(limit: int | None, tokens: int) -> None:
    received: list[Received] = []
    with asking(lambda _: FINE, received) as client:
        assert client.outage(Sampling(max_tokens=limit, temperature=0.7)) is None
    (probe,) = received
    assert probe.body["messages"] == [{"role": "user", "content": "Hello."}]
    assert (probe.body["max_tokens"], probe.body["temperature"]) == (tokens, 0.7)


def test_a_server_that_does_not_answer_the_probe_has_an_outage() -> None:
    with asking(lambda _: (402, {"error": {"message": "no credit"}})) as client:
        assert "no credit" in str(client.outage(SAMPLING))
