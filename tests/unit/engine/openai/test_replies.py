"""Replies are read with the types of the official client."""

from __future__ import annotations

from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from llmops.engine.openai.replies import Reply
from llmops.records import Answer

FIRST, SECOND = Answer("ab", 3, 7, "stop"), Answer("c", 2, 7, "length")
PIECES = ["a", "b", FIRST]


def test_a_whole_chat_reply() -> None:
    reply = Reply("bot/3").whole([FIRST, SECOND])
    read = ChatCompletion.model_validate(reply, strict=True)
    assert (read.object, read.model) == ("chat.completion", "bot/3")
    assert [choice.index for choice in read.choices] == [0, 1]
    assert [choice.message.content for choice in read.choices] == ["ab", "c"]
    assert [choice.finish_reason for choice in read.choices] == ["stop", "length"]
    assert reply["usage"] == {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}


def test_a_streamed_chat_reply() -> None:
    chunks = list(Reply("bot/3").chunks(PIECES, include_usage=True))
    read = [ChatCompletionChunk.model_validate(chunk, strict=True) for chunk in chunks]
    start, *pieces, end, usage = read
    assert (start.choices[0].delta.role, start.choices[0].delta.content) == ("assistant", "")
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces) == "ab"
    assert end.choices[0].finish_reason == "stop"
    assert usage.choices == []
    assert usage.usage is not None
    assert usage.usage.total_tokens == 10
    assert len({chunk.id for chunk in read}) == 1
    assert len(list(Reply("bot/3").chunks(PIECES))) == len(chunks) - 1


def test_a_text_completion() -> None:
    reply = Reply("bot/3", chat=False)
    assert Completion.model_validate(reply.whole([FIRST])).choices[0].text == "ab"
    assert reply.start() == []
    chunks = list(reply.chunks(PIECES))
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == "ab"
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, None, "stop"]
    assert {chunk["object"] for chunk in chunks} == {"text_completion"}


def test_replies_have_ids_of_their_own() -> None:
    assert Reply("a").piece("x")["id"] != Reply("a").piece("x")["id"]
