"""Log-probabilities in requests and replies, as the official client reads them."""

from __future__ import annotations

import pytest
from openai.types import Completion
from openai.types.chat import ChatCompletion

from llmops.engine.logprobs import TokenLogprob
from llmops.engine.openai.errors import RequestError
from llmops.engine.openai.logprobs import read
from llmops.engine.openai.replies import Reply
from llmops.records import Answer

TOKENS = [TokenLogprob("a", -0.5, (("a", -0.5), ("b", -1.0))), TokenLogprob(" é", -2.0, ())]
ANSWER = Answer("a é", 2, 1, "stop")


@pytest.mark.parametrize(
    ("given", "chat", "top"),
    [
        ({}, True, None),
        ({"logprobs": False, "top_logprobs": None}, True, None),
        ({"logprobs": True}, True, 0),
        ({"logprobs": True, "top_logprobs": 5}, True, 5),
        ({"logprobs": 3}, False, 3),
        ({"logprobs": 0}, False, 0),
        ({"logprobs": None}, False, None),
    ],
)
def test_what_a_request_wants(given: dict[str, object], chat: bool, top: int | None) -> None:
    assert read({"n": 1, **given}, chat=chat) == ({"n": 1}, top)


@pytest.mark.parametrize(
    ("given", "chat", "says"),
    [
        ({"logprobs": 1}, True, "logprobs: must be true or false, received 1"),
        ({"logprobs": True, "top_logprobs": 21}, True, "from 0 to 20, received 21"),
        ({"logprobs": True, "top_logprobs": True}, True, "top_logprobs: must be a whole number"),
        ({"top_logprobs": 2}, True, "only with logprobs: true"),
        ({"logprobs": True}, False, "logprobs: must be a whole number"),
        ({"logprobs": -1}, False, "logprobs: must be a whole number"),
        ({"top_logprobs": 2}, False, "allowed in a chat only"),
        ({"logprobs": True, "stream": True}, True, "not supported with stream"),
        ({"logprobs": 2, "stream": True}, False, "not supported with stream"),
    ],
)
def test_bad_values_are_refused_by_name(given: dict[str, object], chat: bool, says: str) -> None:
    with pytest.raises(RequestError, match=says) as caught:
        read(given, chat=chat)
    assert caught.value.param in given


def test_the_official_client_reads_the_replies() -> None:
    chat = ChatCompletion.model_validate(Reply("m").whole([ANSWER], [TOKENS]))
    noted = chat.choices[0].logprobs
    assert noted is not None
    assert noted.content is not None
    assert [token.token for token in noted.content] == ["a", " é"]
    assert noted.content[1].bytes == list(" é".encode())
    assert [top.token for top in noted.content[0].top_logprobs] == ["a", "b"]
    text = Completion.model_validate(Reply("m", chat=False).whole([ANSWER], [TOKENS]))
    assert text.choices[0].logprobs is not None
    assert text.choices[0].logprobs.text_offset == [0, 1]
    assert text.choices[0].logprobs.top_logprobs == [{"a": -0.5, "b": -1.0}, {}]
    assert text.choices[0].logprobs.token_logprobs == [-0.5, -2.0]
