from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest

from llmops.compare import load_suite
from llmops.compare.suite.genai import plain_rows
from llmops.errors import DataError

CHAT = [{"role": "user", "content": "Who?"}]


def row_of(**columns: Any) -> dict[str, Any]:
    ((_, row),) = plain_rows([("row 1", columns)])
    return dict(row)


@pytest.mark.parametrize(
    ("inputs", "column", "value", "source"),
    [
        ({"question": "Who?"}, "prompt", "Who?", "inputs['question']"),
        ({"query": "Who?", "k": 3, "stream": False}, "prompt", "Who?", "inputs['query']"),
        ({"input": "Who?", "context": " "}, "prompt", "Who?", "inputs['input']"),
        ({"anything": "Who?"}, "prompt", "Who?", "inputs['anything']"),
        ({"prompt": "Who?", "user": "ann"}, "prompt", "Who?", None),
        ({"messages": CHAT, "user": "ann"}, "messages", CHAT, None),
        ({"input": CHAT}, "messages", CHAT, "inputs['input']"),
        ("Who?", "prompt", "Who?", "inputs"),
        (CHAT, "messages", CHAT, "inputs"),
        (json.dumps({"question": "Who?"}), "prompt", "Who?", "inputs['question']"),
        ("{not JSON}", "prompt", "{not JSON}", "inputs"),
    ],
)
def test_the_prompt_is_the_only_text_of_the_inputs(
    inputs: Any, column: str, value: Any, source: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    row = row_of(inputs=inputs)
    assert row[column] == value
    assert {"prompt", "messages"} & set(row) == {column}
    said = capsys.readouterr().err
    assert (f"row 1: `{column}` is read from {source}," in said) if source else said == ""


@pytest.mark.parametrize(
    ("expectations", "value"),
    [
        ({"expected_response": "Anna", "expected_facts": ["a"], "guidelines": "Be kind."}, "Anna"),
        ({"expected": "Anna", "note": "x"}, "Anna"),
        ({"answer": "Anna"}, "Anna"),
        ({"ground_truth": "Anna", "expected_facts": ["a", "b"]}, "Anna"),
        ("Anna", "Anna"),
        (json.dumps({"answer": "Anna"}), "Anna"),
        ({"expected_response": 18}, 18),  # refused later, as in any row
    ],
)
def test_the_expected_answer_is_the_only_text_of_the_expectations(
    expectations: Any, value: Any
) -> None:
    assert row_of(inputs={"prompt": "p"}, expectations=expectations)["expected"] == value


@pytest.mark.parametrize("empty", [None, float("nan"), "", " ", {}, {"expected_facts": ["a"]}])
def test_there_may_be_no_expected_answer(empty: Any) -> None:
    assert "expected" not in row_of(inputs={"prompt": "p"}, expectations=empty)


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        (
            {"inputs": {"question": "q", "context": "c"}},
            "`inputs` has several texts, 'question', 'co",
        ),
        ({"inputs": {"k": 3}}, "`inputs` has no text that could be the prompt; it has 'k'"),
        ({"inputs": {}}, "`inputs` has no text that could be the prompt; it has no keys"),
        (
            {"inputs": {"messages": CHAT, "prompt": "p"}},
            "`inputs` has both `messages` and `prompt`",
        ),
        (
            {"inputs": {"prompt": "p"}, "expectations": {"answer": "a", "reason": "b"}},
            "`expectations` has several texts, 'answer', 'reason'",
        ),
    ],
)
def test_what_is_not_clear_names_the_keys(columns: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError) as caught:
        row_of(**columns)
    assert caught.value.message.startswith(f"row 1: {says}")


def test_rows_with_columns_of_a_suite_stay_as_they_are() -> None:
    for row in ({"prompt": "p", "inputs": {"question": "q"}}, {"prompt": "p"}, {"inputs": None}):
        assert row_of(**row) == row


def test_tags_are_slices_and_the_record_is_the_id() -> None:
    tags = {"topic": "maths", "mlflow.user": "ann"}
    row = row_of(inputs={"prompt": "p"}, tags=tags, dataset_record_id="dr-1")
    assert {key: row[key] for key in row if "." in key or key == "id"} == {
        "id": "dr-1",
        "slice.topic": "maths",
    }
    assert row_of(inputs={"prompt": "p"}, id="own", dataset_record_id="dr-1")["id"] == "own"
    assert "id" not in row_of(inputs={"prompt": "p"}, tags="urgent")


def test_another_key_is_reported_once(capsys: pytest.CaptureFixture[str]) -> None:
    inputs = [{"question": "a"}, {"question": "b"}, {"query": "c"}, {"question": "d"}]
    read = [row["prompt"] for _, row in plain_rows(("r", {"inputs": cell}) for cell in inputs)]
    assert read == ["a", "b", "c", "d"]
    assert capsys.readouterr().err.count("is read from") == 2


def test_a_table_of_evaluation_data_is_a_suite() -> None:
    rows = [
        {"inputs": {"question": f"Who {i}?"}, "expectations": {"expected_response": "Anna"}}
        for i in range(2)
    ]
    for source in (rows, pd.DataFrame(rows)):
        examples = load_suite(source).examples
        assert [example.messages[0]["content"] for example in examples] == ["Who 0?", "Who 1?"]
        assert [example.expected for example in examples] == ["Anna", "Anna"]
    with pytest.raises(DataError, match=r"^suite: row 2: `inputs` has several texts"):
        load_suite([rows[0], {"inputs": {"a": "b", "c": "d"}}])
