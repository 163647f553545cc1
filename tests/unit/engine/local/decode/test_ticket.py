"""What a row delivers, token by token."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmops.engine.chat_format import ChatFormat
from llmops.engine.local.decode.ticket import Ticket
from llmops.engine.requests import Prompt
from llmops.records import Answer, Sampling

Delivered = list[str | Answer | BaseException]


@pytest.fixture(scope="module")
def chat_format(folder: Path) -> ChatFormat:
    return ChatFormat.of_folders(None, folder)


def ticket(
    chat_format: ChatFormat, got: Delivered, *, stop: tuple[str, ...] = (), pieces: bool = True
) -> Ticket:
    prompt = Prompt([5], Sampling(max_tokens=40, stop=stop), chat_format)
    return Ticket(prompt, got.append, pieces=pieces)


def test_text_without_blanks_comes_token_by_token(chat_format: ChatFormat) -> None:
    got: Delivered = []
    ids = chat_format.token_ids("0123456789" * 3)
    row = ticket(chat_format, got)
    for count, token in enumerate(ids, 1):
        row.append(token)
        assert len(got) == count
    row.append(min(chat_format.end_ids))
    assert got[-1] == Answer("0123456789" * 3, len(ids) + 1, 1, "stop")
    assert got[:-1] == [chat_format.text([token]) for token in ids]


def test_the_beginning_of_a_stop_string_waits(chat_format: ChatFormat) -> None:
    got: Delivered = []
    row = ticket(chat_format, got, stop=("thname",))
    for token in chat_format.token_ids("Split a path. Split a pathname."):
        row.append(token)
    *pieces, answer = got
    assert "".join(map(str, pieces)) == "Split a path. Split a pa"
    assert isinstance(answer, Answer)
    assert answer.text == "Split a path. Split a pa"
    assert not row.runs


def test_whoever_wants_no_pieces_gets_the_answer_alone(chat_format: ChatFormat) -> None:
    got: Delivered = []
    row = ticket(chat_format, got, pieces=False)
    for token in [*chat_format.token_ids("Split"), min(chat_format.end_ids)]:
        row.append(token)
    (answer,) = got
    assert isinstance(answer, Answer)
    assert answer.text == "Split"


def test_nothing_is_delivered_after_a_cancel_or_a_failure(chat_format: ChatFormat) -> None:
    for left in (True, False):
        got: Delivered = []
        row = ticket(chat_format, got)
        if left:
            row.cancel()
        error = ValueError("broken")
        row.fail(error)
        row.fail(error)
        row.append(9)
        assert got == ([] if left else [error])
        assert not row.runs
