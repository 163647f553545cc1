"""Conversations in the forms that people have them in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmops.data.sources.conversation import examples_of
from llmops.errors import DataError

ASK, ANSWER = {"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "Yes."}


def test_each_answer_is_an_example_with_what_was_said_before() -> None:
    given = [{"role": "system", "content": "S"}, ASK, ANSWER, ASK, {**ANSWER, "content": "No."}]
    first, second = examples_of("here", given)
    assert first == {"messages": given[:2], "completion": "Yes."}
    assert second == {"messages": given[:4], "completion": "No."}
    assert list(examples_of("here", json.dumps(given))) == [first, second]


def test_a_system_message_is_added_where_there_is_none() -> None:
    (made,) = examples_of("here", [ASK, ANSWER], "Be brief.")
    assert made["messages"] == [{"role": "system", "content": "Be brief."}, ASK]
    (kept,) = examples_of("here", [{"role": "developer", "content": "S"}, ASK, ANSWER], "Be brief.")
    assert kept["messages"][0] == {"role": "system", "content": "S"}


def test_the_turns_of_sharegpt_are_read() -> None:
    given = [
        {"from": "system", "value": "S"},
        {"from": "human", "value": "Hi?"},
        {"from": "gpt", "value": "Yes."},
    ]
    (made,) = examples_of("here", given)
    assert made == {"messages": [{"role": "system", "content": "S"}, ASK], "completion": "Yes."}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("not JSON", "here: expected a list of .* received text that is not JSON"),
        ([], "here: expected a list of"),
        (7, "here: expected a list of .* received 7"),
        ([ASK], "here: expected .* received no answer"),
        ([ANSWER], r"here\[0\]: an answer must follow a turn of the user"),
        ([ASK, ANSWER, ANSWER], r"here\[2\]: an answer must follow"),
        ([ASK, {"role": "assistant", "content": " "}], r"here\[1\]: content must be text"),
        ([{"role": "robot", "content": "x"}], r"here\[0\]"),
        ([{"from": "robot", "value": "x"}], r"here\[0\]"),
        ([ASK, {"role": "system", "content": "late"}], r"here\[1\]"),
    ],
)
def test_what_is_no_conversation_is_named(given: Any, says: str) -> None:
    with pytest.raises(DataError, match=says):
        list(examples_of("here", given))


def test_a_role_that_is_no_text_is_refused() -> None:
    for turn in ({"from": ["human"], "value": "a"}, {"role": ["user"], "content": "a"}):
        with pytest.raises(DataError, match="allowed here: system, user, assistant"):
            list(examples_of("row 1", [turn]))
