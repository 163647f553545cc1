"""A user's own file becomes rows, or is refused with the row that is wrong."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from llmops.data.sources.table import Table
from llmops.data.sources.table import read_table as read
from llmops.errors import DataError, NotFoundError
from llmops.recipe.schema import Data


def read_table(config: Data) -> Table:
    return read(config, Path(str(config.path)))


@pytest.mark.parametrize("suffix", ["csv", "json", "jsonl", "parquet"])
def test_every_format_gives_the_same_rows(tmp_path: Path, suffix: str) -> None:
    frame = pd.DataFrame({"question": ["q 0", "q 1"], "answer": ["a 0", "a 1"], "id": [7, None]})
    path = tmp_path / f"own.{suffix}"
    if suffix == "parquet":
        frame.to_parquet(path)
    elif suffix == "csv":
        frame.astype({"id": "Int64"}).to_csv(path, index=False)
    else:
        frame.astype({"id": "Int64"}).to_json(path, orient="records", lines=suffix == "jsonl")
    rows, unread = read_table(Data(path=path, prompt="question", completion="answer"))
    assert unread == ()
    first = "7.0" if suffix == "parquet" else "7"  # pandas has no missing integer
    assert rows == [
        {"id": first, "prompt": "q 0", "completion": "a 0", "group": first},
        {"id": "row-2", "prompt": "q 1", "completion": "a 1", "group": "row-2"},
    ]


def test_a_group_column_names_the_groups(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("prompt,completion,user\nq,a,anna\nr,b,anna\n")
    rows, _ = read_table(Data(path=tmp_path / "own.csv", group="user"))
    assert [row["group"] for row in rows] == ["anna", "anna"]
    assert [row["id"] for row in rows] == ["row-1", "row-2"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "holds no rows"),
        (b"prompt,completion\n", "holds no rows"),
        (b"question,completion\nq,a\n", "no column 'prompt'; it has 'question', 'completion'"),
        (b"prompt,completion\nq,\n", "'completion' is empty in row 1"),
        (
            b"prompt,completion\n" + b" ,a\n" * 7,
            "'prompt' is empty in row 1, 2, 3, 4, 5 and 2 more",
        ),
        (b"prompt,completion\nq\xff,a\n", "UTF-8"),
        (b"prompt,completion\nq,a,b\n", "row 1: 3 fields, the header has 2"),
    ],
)
def test_unusable_files_are_named_with_the_reason(
    tmp_path: Path, content: bytes, says: str
) -> None:
    path = tmp_path / "own.csv"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_table(Data(path=path))
    assert says in str(caught.value)
    assert str(path) in str(caught.value)


def test_the_next_command_names_the_missing_columns_keys(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError) as caught:
        read_table(Data(path=tmp_path / "own.csv", prompt="a", group="user"))
    assert (
        caught.value.next_command == "llmops data RECIPE data.completion=COLUMN data.group=COLUMN"
    )


def test_a_template_makes_a_prompt_of_several_columns(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("instruction,input,output,topic\nAdd,2 and 2,4,sums\nSay hello,,Hello,talk\n")
    plain = Data(path=path, template="{instruction}\n\n{input}", completion="output")
    jinja = plain.model_copy(
        update={"template": "{{ instruction }}{% if input %}: {{ input }}{% endif %}"}
    )
    rows, unread = read_table(plain)
    assert [row["prompt"] for row in rows] == ["Add\n\n2 and 2", "Say hello"]
    assert unread == ("topic",)
    assert [row["prompt"] for row in read_table(jinja).rows] == ["Add: 2 and 2", "Say hello"]
    sliced = read_table(plain.model_copy(update={"slices": ("topic",)}))
    assert [row["slice.topic"] for row in sliced.rows] == ["sums", "talk"]
    assert sliced.unread == ()
    with pytest.raises(DataError, match="no column 'text'") as caught:
        read_table(plain.model_copy(update={"template": "{text}"}))
    assert caught.value.next_command == "llmops data RECIPE data.template=COLUMN"
    with pytest.raises(DataError, match=r"row 2: data\.template makes an empty prompt"):
        read_table(plain.model_copy(update={"template": "{input}"}))


def test_a_near_name_is_proposed_and_a_conversation_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text('{"messages": [], "promt": "q", "completion": "a"}\n')
    with pytest.raises(DataError, match="for 'prompt', did you mean 'promt'") as caught:
        read_table(Data(path=path))
    assert caught.value.next_command == "llmops data RECIPE data.messages=messages"


def test_json_stays_json_and_a_conversation_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text('{"prompt": "Extract.", "completion": {"name": "Zoë", "age": 7}}\n')
    assert read_table(Data(path=path)).rows[0]["completion"] == '{"name": "Zoë", "age": 7}'
    path.write_text('{"prompt": [{"role": "user", "content": "Hi"}], "completion": "x"}\n')
    with pytest.raises(DataError, match="row 1: column 'prompt' holds a conversation") as caught:
        read_table(Data(path=path))
    assert "data.messages=messages" in str(caught.value.next_command)


def test_a_missing_file_and_an_unknown_format(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such file"):
        read_table(Data(path=tmp_path / "none.csv"))
    (tmp_path / "own.xlsx").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"allowed: \.csv"):
        read_table(Data(path=tmp_path / "own.xlsx"))
