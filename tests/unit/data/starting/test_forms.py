"""Files of other people are recognised by their columns."""

from __future__ import annotations

from typing import Any

import pytest

from llmops.data.sources.table import read_table
from llmops.data.starting.forms import recognised, slice_columns
from llmops.errors import DataError
from llmops.recipe.data import Data
from llmops.recipe.template import Template


def rows(count: int, **columns: Any) -> list[dict[str, Any]]:
    return [
        {name: cell(i) if callable(cell) else cell for name, cell in columns.items()}
        for i in range(count)
    ]


TURNS = [{"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "Yes."}]


@pytest.mark.parametrize(
    ("columns", "name", "keys"),
    [
        ({"messages": TURNS}, "messages (OpenAI)", {"messages": "messages"}),
        (
            {"conversations": TURNS, "id": 1},
            "conversations (ShareGPT)",
            {"messages": "conversations"},
        ),
        (
            {"prompt": "p", "chosen": "c", "rejected": "r"},
            "preference pairs",
            {"prompt": "prompt", "completion": "chosen"},
        ),
        (
            {"Question": "q", "Answer": "a"},
            "question and answer",
            {"prompt": "Question", "completion": "Answer"},
        ),
        ({"text": "t", "label": "l"}, "text and label", {"prompt": "text", "completion": "label"}),
    ],
)
def test_usual_columns_are_recognised(
    columns: dict[str, Any], name: str, keys: dict[str, str]
) -> None:
    found = recognised(rows(3, **columns))
    assert (found.name, dict(found.keys)) == (name, keys)


@pytest.mark.parametrize(
    ("passage", "answer", "name"),
    [
        ("input", "output", "instruction, input, output (Alpaca)"),
        ("context", "response", "instruction, context, response (Dolly)"),
        ("Context", "Response", "instruction, context, response (Dolly)"),
    ],
)
def test_a_passage_goes_into_the_prompt(
    passage: str, answer: str, name: str, tmp_path: Any
) -> None:
    records = [
        {"instruction": f"Do {i}", passage: f"this {i}" if i % 2 else "", answer: f"a {i}"}
        for i in range(6)
    ]
    form = recognised(records)
    assert form.name == name
    path = tmp_path / "own.csv"
    lines = [",".join(records[0]), *(",".join(map(str, each.values())) for each in records)]
    path.write_text("\n".join(lines) + "\n")
    read = read_table(Data.model_validate({"path": path, **form.keys}), path).rows
    assert [each["prompt"] for each in read[:2]] == ["Do 0", "Do 1\n\nthis 1"]


def test_a_constant_column_is_no_passage() -> None:
    records = rows(
        30, instruction=lambda i: f"q {i}", context="support", response=lambda i: f"a {i}"
    )
    assert recognised(records).name == "instruction and response"


def test_other_columns_are_guessed_by_length_and_labels_go_first() -> None:
    records = rows(
        10,
        ticket=lambda i: f"a long text about order {i}",
        queue=lambda i: f"q{i % 2}",
        note=lambda i: f"n {i}",
    )
    form = recognised(records)
    assert dict(form.keys) == {"prompt": "ticket", "completion": "queue"}
    assert "prompt 'ticket' and completion 'queue'" in form.note
    with pytest.raises(
        DataError, match="expected two columns of text without empty cells, found 1"
    ) as caught:
        recognised(rows(3, ticket="t", number=7))
    assert "--prompt COLUMN --completion COLUMN" in str(caught.value.next_command)


def test_columns_of_a_few_values_are_slices() -> None:
    records = rows(
        90,
        text=lambda i: f"t {i}",
        kind=lambda i: f"k{i % 3}",
        rare=lambda i: f"r{i % 10}",
        one="x",
        hole=lambda i: ["a", ""][i % 2],
    )
    assert slice_columns(records, {"text"}) == ["kind"]
    assert slice_columns(records, {"text", "kind"}) == []


def test_columns_in_capitals_keep_the_template_whole() -> None:
    records = rows(5, Instruction="do", INPUT=lambda i: f"on {i}", Output="o", IF="v", endif="k")
    found = recognised(records)
    assert found.keys["completion"] == "Output"
    assert Template(found.keys["template"]).render(records[0]) == "do\n\non 0"


def test_a_column_in_small_letters_goes_before_its_twin_in_capitals() -> None:
    keys = {"prompt": "text", "completion": "label"}
    assert recognised(rows(3, text="t", TEXT="other", label="l")).keys == keys
