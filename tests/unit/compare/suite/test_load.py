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
    in_memory = {found[shape].digest for shape in ("DataFrame", "mlflow pandas")}
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


def test_a_conversation_is_read_as_a_request_is(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "And "}, {"type": "text", "text": "2 + 2?"}]
    turns = [*CHAT[:3], {"role": "user", "content": parts, "refusal": None}]
    (example,) = load_suite(suite_of(tmp_path, {"messages": turns})).examples
    assert example.messages == tuple(CHAT)


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
        ({"messages": [{**CHAT[1], "name": "ann"}]}, "unknown key 'name'; allowed: role, content"),
    ],
)
def test_a_row_that_is_no_example_is_named(tmp_path: Path, row: object, says: str) -> None:
    path = suite_of(tmp_path, {"prompt": "a good row"}, row)
    with pytest.raises(DataError) as caught:
        load_suite(path)
    assert says in str(caught.value)
    assert str(caught.value).startswith(f"{path}:2: ")


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

    with pytest.raises(NotFoundError, match=r"suite none\.jsonl: no such file"):
        load_suite("none.jsonl")
    for source in (3, None, [{"prompt": "p"}], mlflow.data.from_numpy(np.zeros(3))):
        with pytest.raises(UsageError, match="expected a file, a pandas DataFrame or an MLflow"):
            load_suite(source)


def test_rows_of_a_dataframe_are_numbered_from_one() -> None:
    import pandas as pd

    frame = pd.DataFrame({"prompt": ["p", float("nan")]}, index=[10, 20])
    with pytest.raises(DataError, match="suite: row 2: expected `prompt` or `messages`"):
        load_suite(frame)
