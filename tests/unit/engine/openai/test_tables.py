from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from llmops.engine.openai.errors import RequestError
from llmops.engine.openai.tables import COLUMNS, cell, is_empty, plain, rows


def test_rows_hold_what_is_there() -> None:
    frame = pd.DataFrame({"prompt": ["a", "b"], "max_tokens": [3, None], "topic": [None, "x"]})
    assert rows(frame) == [{"prompt": "a", "max_tokens": 3}, {"prompt": "b", "topic": "x"}]


def test_columns_of_a_request() -> None:
    assert {"messages", "prompt", "stop", "max_completion_tokens", "tools"} <= COLUMNS
    assert not {"topic", "id", "model"} & COLUMNS


def test_a_gap_in_a_column_makes_no_other_number_of_a_whole_one() -> None:
    for column in ("max_tokens", "max_completion_tokens", "n", "seed"):
        value = cell(column, np.float64(16))
        assert (value, type(value)) == (16, int)
    assert cell("max_tokens", 2.5) == 2.5
    assert isinstance(cell("temperature", 1.0), float)


def test_arrays_become_lists_all_the_way_down() -> None:
    made = plain(
        {"messages": np.array([{"stop": np.array(["a"]), "n": np.int64(3)}], dtype=object)}
    )
    assert made == {"messages": [{"stop": ["a"], "n": 3}]}
    assert type(made["messages"][0]["n"]) is int
    assert plain(("a", 1)) == ["a", 1]


@pytest.mark.parametrize("value", [None, float("nan"), np.nan, pd.NA, pd.NaT])
def test_empty_cells(value: object) -> None:
    assert is_empty(value)


@pytest.mark.parametrize("value", ["", 0, False, [], "nan"])
def test_cells_that_say_something(value: object) -> None:
    assert not is_empty(value)


def test_what_is_nested_too_deeply_is_refused_not_a_crash() -> None:
    value: object = "text"
    for _ in range(2_000):
        value = [value]
    with pytest.raises(RequestError, match="nested too deeply"):
        plain(value)
