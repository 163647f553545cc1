from __future__ import annotations

import pandas as pd
import pytest
from pandas import DataFrame

from llmops.errors import UsageError
from llmops.serve import bodies

HI = [{"role": "user", "content": "hi"}]


def test_a_chat_body_that_mlflow_s_reader_spread_over_rows() -> None:
    frame = DataFrame({"messages": HI * 2, "stop": ["a", "b"], "seed": 7})
    assert bodies.of(frame) == [{"messages": HI * 2, "stop": ["a", "b"], "seed": 7}]
    frame = DataFrame({"messages": HI * 2, "max_tokens": [4.0, 4.0], "user": None})
    assert bodies.of(frame) == [{"messages": HI * 2, "max_tokens": 4}]


def test_messages_alone() -> None:
    frame = DataFrame({"role": ["user"], "content": [42]})
    assert bodies.of(frame) == [{"messages": [{"role": "user", "content": "42"}]}]


def test_a_row_is_a_request() -> None:
    rows = [{"prompt": "a", "max_tokens": 3}, {"prompt": 5, "topic": "x"}]
    first, second = bodies.of(DataFrame(rows))
    assert first == {"messages": [{"role": "user", "content": "a"}], "max_tokens": 3}
    # what a request does not know is the server's to refuse
    assert second == {"messages": [{"role": "user", "content": "5"}], "topic": "x"}
    rows = [{"messages": HI, "max_tokens": 3}, {"messages": HI * 3}]
    assert bodies.of(DataFrame(rows)) == [rows[0], rows[1]]


@pytest.mark.parametrize("nothing", [pd.DataFrame({"text": ["a"]}), ["a"], None])
def test_other_inputs_are_refused(nothing: object) -> None:
    with pytest.raises(UsageError, match="expected a chat request"):
        bodies.of(nothing)  # type: ignore[arg-type]


def test_no_messages_are_left_to_the_server_to_refuse() -> None:
    assert bodies.of(DataFrame({"messages": []})) == [{"messages": []}]
