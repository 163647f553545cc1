"""One row of a suite: what it may hold, and how a wrong one is reported."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmops.compare.suite.rows import read_example
from llmops.errors import DataError

CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "What is 1 + 1?"},
    {"role": "assistant", "content": "2"},
    {"role": "user", "content": "And 2 + 2?"},
]


def test_a_conversation_is_read_as_a_request_is() -> None:
    parts = [{"type": "text", "text": "And "}, {"type": "text", "text": "2 + 2?"}]
    turns = [*CHAT[:3], {"role": "user", "content": parts, "refusal": None}]
    assert read_example("row 1", {"messages": turns}).messages == tuple(CHAT)
    assert read_example("row 1", {"messages": json.dumps(turns)}).messages == tuple(CHAT)


def test_a_conversation_may_come_from_a_client() -> None:
    turns = [{**CHAT[0], "role": "developer"}, *CHAT[1:3], {**CHAT[3], "name": "ann"}]
    assert read_example("row 1", {"messages": turns}).messages == tuple(CHAT)


def test_empty_cells_and_unknown_columns_are_ignored() -> None:
    row = {"prompt": "p", "messages": None, "expected": float("nan"), "slice.a": " ", "other": {}}
    example = read_example("row 1", row)
    assert example.messages == ({"role": "user", "content": "p"},)
    assert (example.expected, example.slices) == (None, {})
    assert example.cluster == example.id


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"id": "a"}, "expected `prompt` or `messages`, both missing or empty; the row has id"),
        ({"prompt": "  "}, "the row has only empty cells"),
        ({"prompt": 3}, "`prompt` must be text, received int 3"),
        ({"prompt": "a\ud800b"}, "`prompt`: holds half of a character ('\\ud800' at 1)"),
        ({"prompt": "p", "id": "\udfff"}, "`id`: holds half of a character"),
        ({"prompt": "p", "slice.a\ud800": "b"}, "column 'slice.a\\ud800': holds half"),
        ({"messages": [{"role": "user", "content": "\ud800"}]}, "`messages`[0]: holds half"),
        ({"prompt": "p", "expected": 18}, "`expected` must be text, received int 18"),
        ({"prompt": "p", "completion": {"a": 1}}, "`completion` must be text, received dict"),
        ({"prompt": "p", "expected": "a", "completion": "a"}, "`expected` and `completion`"),
        ({"prompt": "p", "cluster": "a", "group": "a"}, "`cluster` and `group`"),
        ({"prompt": "p", "id": ["a"]}, "`id` must be text or a number, received list"),
        ({"prompt": "p", "slice.a": {}}, "`slice.a` must be text or a number, received dict"),
        ({"prompt": "p", "slice.": "a"}, "column `slice.` has no slice name"),
        ({"prompt": "p", "messages": CHAT}, "has both `messages` and `prompt`; keep one"),
        ({"messages": []}, "expected a list of {role, content} that ends with a turn of the user"),
        ({"messages": {"role": "user", "content": "x"}}, "expected a list of {role, content}"),
        ({"messages": "hello"}, "text that is not JSON"),
        ({"messages": '"hello"'}, "received 'hello'"),
        ({"messages": ["hello"]}, "`messages`[0]: expected {role, content}, received 'hello'"),
        ({"messages": CHAT[:3]}, "the last turn has role 'assistant'"),
        ({"messages": [*CHAT[1:], CHAT[0]]}, "`messages`[3]: role 'system'; allowed here: user, a"),
        (
            {"messages": [{"role": "human", "content": "x"}]},
            "role 'human'; allowed here: system, u",
        ),
        ({"messages": [{"content": "x"}]}, "role None"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "role ['user']"),
        ({"messages": [{"role": "user", "content": " "}]}, "content must be text, received ' '"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "has type 'image'"),
        ({"messages": [{"role": "user", "content": []}]}, "content must be text, received []"),
        (
            {"messages": [*CHAT[1:], {"role": "human", "content": "x"}]},
            "`messages`[3]: role 'human'; allowed here: user, assistant",
        ),
        ({"messages": [{**CHAT[1], "prefix": 1}]}, "unknown key 'prefix'; allowed: role, content"),
        (
            {"messages": [*CHAT, {"role": "tool", "content": "3"}]},
            "role 'tool'; allowed here: user, a",
        ),
        (
            {
                "messages": [
                    CHAT[1],
                    {**CHAT[2], "tool_calls": [{"function": {"name": "f"}}]},
                    CHAT[3],
                ]
            },
            "`messages`[1]: tool_calls: no tools are allowed here",
        ),
    ],
)
def test_a_row_that_is_no_example_is_named(row: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError) as caught:
        read_example("suite.jsonl:2", row)
    assert says in str(caught.value)
    assert str(caught.value).startswith("suite.jsonl:2: ")
