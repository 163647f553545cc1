from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmops.compare import load_suite
from llmops.errors import DataError, NotFoundError, UsageError
from llmops.records import Example

CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "What is 1 + 1?"},
    {"role": "assistant", "content": "2"},
    {"role": "user", "content": "And 2 + 2?"},
]
ROWS: list[dict[str, Any]] = [
    {"id": 7, "messages": CHAT, "expected": "4", "cluster": "sums", "slice.topic": "maths"},
    {"id": 8, "messages": CHAT[3:], "expected": None, "cluster": None, "slice.topic": None},
]
EXAMPLES = (
    Example("7", tuple(CHAT), "4", "sums", {"topic": "maths"}),
    Example("8", tuple(CHAT[3:]), None, "8", {}),
)


def suite_of(folder: Path, *rows: object) -> Path:
    path = folder / "suite.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def in_every_shape(folder: Path) -> dict[str, Any]:
    """The rows as each of the things that a suite is read from."""
    import mlflow
    import pandas as pd
    from datasets import Dataset

    frame = pd.DataFrame(ROWS)
    frame.to_parquet(folder / "suite.parquet")
    flat = frame.assign(messages=frame["messages"].map(json.dumps))
    flat.to_csv(folder / "suite.csv", index=False)
    (folder / "suite.json").write_text(json.dumps(ROWS))
    suite_of(folder, *ROWS)
    renamed = frame.rename(columns={"expected": "wanted"})
    shapes = {suffix: folder / f"suite.{suffix}" for suffix in ("parquet", "csv", "json", "jsonl")}
    return {
        **shapes,
        "DataFrame": frame,
        "list": ROWS,
        "mlflow pandas": mlflow.data.from_pandas(renamed, targets="wanted", name="own", digest="d"),
        "mlflow huggingface": mlflow.data.from_huggingface(
            Dataset.from_list(ROWS), path="own", name="own", digest="d"
        ),
    }


def test_every_source_gives_the_same_examples(tmp_path: Path) -> None:
    found = {shape: load_suite(source) for shape, source in in_every_shape(tmp_path).items()}
    for shape, suite in found.items():
        assert suite.examples == EXAMPLES, shape
    assert found["jsonl"].name == "suite"
    assert found["jsonl"].path == tmp_path / "suite.jsonl"
    assert found["mlflow pandas"].name == found["mlflow huggingface"].name == "own"
    assert found["DataFrame"].path is None
    in_memory = {found[shape].digest for shape in ("DataFrame", "list", "mlflow pandas")}
    assert len(in_memory) == 1, "the same examples have the same digest"
    assert load_suite(tmp_path / "suite.csv", name="mine").name == "mine"


def test_an_evaluation_dataset_of_mlflow(store: str) -> None:
    from mlflow.genai.datasets import create_dataset, get_dataset

    dataset = create_dataset(name="held-out")
    dataset.merge_records(
        [
            {
                "inputs": {"messages": CHAT},
                "expectations": {"expected_response": "4"},
                "tags": {"topic": "maths"},
            },
            {"inputs": {"prompt": "Say hello."}},
        ]
    )
    suite = load_suite(get_dataset(name="held-out"))
    assert suite.name == "held-out"
    by_prompt = {example.messages[-1]["content"]: example for example in suite.examples}
    chat, hello = by_prompt["And 2 + 2?"], by_prompt["Say hello."]
    assert (chat.messages, chat.expected, chat.slices) == (tuple(CHAT), "4", {"topic": "maths"})
    assert (hello.expected, hello.slices) == (None, {})
    assert hello.id != chat.id


def test_the_names_that_recipes_use_for_columns(tmp_path: Path) -> None:
    row = {"id": "a", "prompt": "p", "completion": "c", "group": "g", "other": [1]}
    (example,) = load_suite(suite_of(tmp_path, row)).examples
    assert (example.expected, example.cluster) == ("c", "g")


def test_an_id_is_made_of_the_content(tmp_path: Path) -> None:
    one, other = {"prompt": "p", "expected": "e"}, {"prompt": "p", "expected": "f"}
    first = load_suite(suite_of(tmp_path, one, other))
    assert len({example.id for example in first.examples}) == 2
    again = load_suite(suite_of(tmp_path, {**other, "slice.a": "b"}, one))
    assert [example.id for example in again.examples] == [e.id for e in first.examples][::-1]
    assert first.examples[0].cluster == first.examples[0].id
    with pytest.raises(DataError, match=r"occurs more than once: .*:1 and .*:3"):
        load_suite(suite_of(tmp_path, one, other, one))


def test_a_file_is_pinned_by_its_bytes(tmp_path: Path) -> None:
    first = load_suite(suite_of(tmp_path, {"prompt": "p"})).digest
    assert load_suite(suite_of(tmp_path, {"prompt": "p"})).digest == first
    assert load_suite(suite_of(tmp_path, {"prompt": "q"})).digest != first


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "contains no prompts"),
        (b"\n\n", "contains no prompts"),
        (b"{", ":1: not JSON"),
        (b"[1]", ":1: expected an object, received list"),
        (b'{"id": "a", "prompt": "p"}\n' * 2, "id 'a' occurs more than once"),
        (b'{"id": "\xff"}', "not UTF-8"),
    ],
)
def test_unusable_files(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "suite.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        load_suite(path)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_header_alone_holds_no_prompts(tmp_path: Path) -> None:
    (tmp_path / "suite.csv").write_text("id,prompt\n")
    with pytest.raises(DataError, match="contains no prompts"):
        load_suite(tmp_path / "suite.csv")


def test_no_source() -> None:
    import mlflow
    import numpy as np

    with pytest.raises(NotFoundError, match=r"suite none\.jsonl: no such file\n.*llmops data"):
        load_suite("none.jsonl")
    for source in (3, None, ["p"], mlflow.data.from_numpy(np.zeros(3))):
        with pytest.raises(UsageError, match="expected a file, a pandas DataFrame, a list of"):
            load_suite(source)


def test_rows_of_a_dataframe_are_numbered_from_one() -> None:
    import pandas as pd

    frame = pd.DataFrame({"prompt": ["p", float("nan")]}, index=[10, 20])
    with pytest.raises(DataError, match="suite: row 2: expected `prompt` or `messages`"):
        load_suite(frame)


def test_a_wrong_row_of_a_file_is_named_by_its_line(tmp_path: Path) -> None:
    path = suite_of(tmp_path, {"prompt": "a good row"}, {"id": "a"})
    with pytest.raises(DataError) as caught:
        load_suite(path)
    assert str(caught.value).startswith(f"{path}:2: expected `prompt` or `messages`")
