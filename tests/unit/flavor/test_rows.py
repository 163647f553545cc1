from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from llmops.errors import UsageError
from llmops.flavor.rows import read, read_one
from llmops.records import Sampling

CHAT = [{"role": "user", "content": "hi"}]
OPEN = Sampling(None)
"""As long as the context allows, and greedy."""


@pytest.mark.parametrize(
    "data",
    [
        "hi",
        ["hi"],
        CHAT,
        [CHAT],
        {"prompt": "hi"},
        {"messages": CHAT},
        [{"messages": CHAT}],
        np.array(["hi"]),
        pd.Series(["hi"]),
        pd.DataFrame({"prompt": ["hi"], "id": [7], "topic": ["x"]}),
        pd.DataFrame({"messages": [CHAT]}),
        pd.DataFrame({0: ["hi"]}),
    ],
)
def test_every_form_says_the_same(data: Any) -> None:
    (request,) = read(data)
    assert request.prompt == CHAT
    assert request.samplings == (OPEN,)


def test_empty_cells_are_no_parameters() -> None:
    frame = pd.DataFrame({"prompt": ["a", "b"], "max_tokens": [3, np.nan], "stop": ["x", None]})
    first, second = read(frame, {"temperature": 0.5})
    assert first.samplings == (Sampling(max_tokens=3, temperature=0.5, stop=("x",)),)
    assert second.samplings == (Sampling(None, temperature=0.5),)


def test_n_answers_have_seeds_of_their_own() -> None:
    (request,) = read({"prompt": "a", "n": 3, "seed": 10})
    assert [sampling.seed for sampling in request.samplings] == [10, 11, 12]
    (request,) = read({"prompt": "a", "n": 2})
    assert [sampling.seed for sampling in request.samplings] == [None, None]


def test_keys_that_change_no_answer_are_ignored() -> None:
    (request,) = read(
        {"messages": CHAT, "model": "x", "user": "u", "stream": False, "logprobs": False, "id": 3}
    )
    assert request.samplings == (OPEN,)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"max_tokens": 0}, "max_tokens: must be a whole number of at least 1, received 0"),
        ({"max_tokens": 2.5}, "max_tokens: must be a whole number"),
        ({"max_tokens": "5"}, "max_tokens: must be a whole number"),
        ({"temperature": -1}, "temperature: must be a number from 0"),
        ({"temperature": float("inf")}, "temperature: must be"),
        ({"temperature": float("nan")}, "temperature: must be"),
        ({"top_p": 1.5}, "top_p: must be a number above 0, at most 1"),
        ({"n": 0}, "n: must be"),
        ({"seed": "x"}, "seed: must be"),
        ({"stop": [""]}, "stop: must be a non-empty string"),
        ({"stop": [3]}, "stop: must be a non-empty string"),
        ({"stop": 3}, "stop: must be a non-empty string"),
        ({"logprobs": True}, "logprobs: not supported"),
        ({"tools": [{}]}, "tools: not supported"),
        ({"max_new_tokens": 3}, r"max_new_tokens: not supported \(use max_tokens"),
        ({"max_tokens": 3, "max_completion_tokens": 4}, "max_tokens: two values"),
        ({"tempratur": 0.5}, r"tempratur: unknown parameter \(did you mean temperature\?\)"),
        ({"messages": CHAT}, "prompt: not allowed in a chat request"),
    ],
)
def test_a_wrong_parameter_is_named_with_its_row(row: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=f"row 1: .*{says}"):
        read([{"prompt": "fine"}, {"prompt": "a", **row}])


@pytest.mark.parametrize(
    "row",
    [
        {},
        [],
        {"question": "a"},
        {"prompt": 5},
        {"prompt": None},
        {"messages": []},
        {"messages": "hi"},
        {"messages": [{"role": "user"}]},
        {"messages": [{"role": "user", "content": None}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
        5,
        None,
    ],
)
def test_a_row_without_text_is_refused(row: Any) -> None:
    with pytest.raises(UsageError, match="row 1: "):
        read([{"prompt": "fine"}, row])


def test_unknown_parameters_of_the_call() -> None:
    with pytest.raises(UsageError, match="params: max_new_tokens: not supported"):
        read(["a"], {"max_new_tokens": 3})


def test_whole_answers_are_no_streams() -> None:
    with pytest.raises(UsageError, match="stream: predict returns whole answers; use predict_str"):
        read({"prompt": "a", "stream": True})
    request = read_one({"prompt": "a", "stream": False, "max_tokens": 3})
    assert request.stream
    assert request.samplings == (Sampling(3),)
    with pytest.raises(UsageError, match="answers one row, received 2"):
        read_one(["a", "b"])
    with pytest.raises(UsageError, match="row 0: n: must be 1 for a stream"):
        read_one({"prompt": "a"}, {"n": 2})


def test_a_length_of_the_call_has_two_names_too() -> None:
    first, second = read([{"prompt": "a", "max_tokens": 2}, "b"], {"max_completion_tokens": 5})
    assert [r.samplings for r in (first, second)] == [(Sampling(2),), (Sampling(5),)]


def test_openai_s_newer_name_of_the_length() -> None:
    (request,) = read({"prompt": "a", "max_completion_tokens": 5})
    assert request.samplings == (Sampling(max_tokens=5),)


def test_the_scoring_server_hands_in_arrays() -> None:
    messages = np.array(CHAT, dtype=object)
    row = {"messages": messages, "stop": np.array(["x"]), "max_tokens": np.int64(3)}
    for data in (row, [row], np.array([row]), pd.DataFrame([row])):
        (request,) = read(data)
        assert request.prompt == CHAT
        assert request.samplings == (Sampling(max_tokens=3, stop=("x",)),)


def test_the_largest_seed() -> None:
    (request,) = read({"prompt": "a", "seed": 2**63 - 1})
    assert request.samplings[0].seed == 2**63 - 1


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (5, "needs prompts or chat requests, received 5"),
        (pd.DataFrame({"question": ["a"]}), r"needs a column .*received \['question'\]"),
        (pd.DataFrame({"a": ["a"], "b": [1]}), "needs a column"),
    ],
)
def test_no_request_at_all(data: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        read(data)
