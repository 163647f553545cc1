"""What MLflow's own callers see: `mlflow.pyfunc.load_model`."""

from __future__ import annotations

import mlflow
import pandas as pd
import pytest
import torch
from mlflow.exceptions import MlflowException

from llmops.errors import UsageError
from llmops.records import ModelVersion

CHAT = [{"role": "user", "content": "Split a pathname."}]


@pytest.fixture
def model(version: ModelVersion) -> mlflow.pyfunc.PyFuncModel:
    return mlflow.pyfunc.load_model("models:/bot@champion")


def text(completion: dict) -> str:
    return completion["choices"][0]["message"]["content"]


def test_one_chat_request_gets_one_completion(model: mlflow.pyfunc.PyFuncModel) -> None:
    done = model.predict({"messages": CHAT, "max_tokens": 5})
    assert done["object"] == "chat.completion"
    assert done["usage"]["completion_tokens"] == 5
    assert done["usage"]["total_tokens"] == done["usage"]["prompt_tokens"] + 5
    assert done["choices"][0]["finish_reason"] == "length"
    assert done["model"].startswith("models:/m-"), "the logged model, not a folder of this machine"


def test_every_form_of_input_gets_the_same_answer(model: mlflow.pyfunc.PyFuncModel) -> None:
    expected = text(model.predict({"messages": CHAT, "max_tokens": 5}))
    forms = [
        pd.DataFrame({"messages": [CHAT], "max_tokens": [5]}),
        pd.DataFrame({"prompt": ["Split a pathname."], "max_tokens": [5]}),
        [{"messages": CHAT, "max_tokens": 5}],
        [{"prompt": "Split a pathname.", "max_tokens": 5}],
    ]
    for form in forms:
        assert [text(done) for done in model.predict(form)] == [expected]
    for form in (["Split a pathname."], pd.Series(["Split a pathname."]), [CHAT]):
        assert [text(done) for done in model.predict(form, params={"max_tokens": 5})] == [expected]


def test_parameters_of_the_call_and_of_the_row(model: mlflow.pyfunc.PyFuncModel) -> None:
    frame = pd.DataFrame({"prompt": ["a", "b"], "max_tokens": [2, None]})
    done = model.predict(frame, params={"max_tokens": 7})
    assert [d["usage"]["completion_tokens"] for d in done] == [2, 7]


def test_n_answers_differ_and_a_seed_repeats_them(model: mlflow.pyfunc.PyFuncModel) -> None:
    request = {"messages": CHAT, "n": 3, "temperature": 1.0, "seed": 5, "max_tokens": 6}
    first, second = model.predict(request), model.predict(request)
    answers = [choice["message"]["content"] for choice in first["choices"]]
    assert [choice["index"] for choice in first["choices"]] == [0, 1, 2]
    assert len(set(answers)) == 3
    assert answers == [choice["message"]["content"] for choice in second["choices"]]


def test_a_row_does_not_feel_its_neighbours(model: mlflow.pyfunc.PyFuncModel) -> None:
    rows = [
        {"prompt": "Split a pathname.", "temperature": 1.2, "seed": 1, "max_tokens": 6},
        {"prompt": "Return the last access time of a file.", "max_tokens": 9},
        {"prompt": "wrap", "temperature": 0.7, "top_p": 0.5, "seed": 2, "stop": ["e"]},
    ]
    together = [text(done) for done in model.predict(rows)]
    assert together == [text(model.predict([row])[0]) for row in rows]


def test_streaming_gives_the_same_text(model: mlflow.pyfunc.PyFuncModel) -> None:
    request = {"messages": CHAT, "max_tokens": 5}
    chunks = list(model.predict_stream(request))
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks) == text(
        model.predict(request)
    )
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}


def test_parameters_are_checked(model: mlflow.pyfunc.PyFuncModel) -> None:
    with pytest.raises(MlflowException, match="row 1: response_format: not supported"):
        model.predict([{"prompt": "a"}, {"prompt": "a", "response_format": {"type": "json"}}])
    with pytest.raises(MlflowException):
        model.predict(["a"], params={"temperature": "hot"})


@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float16"])
def test_model_config_really_sets_the_dtype(version: ModelVersion, dtype: str) -> None:
    model = mlflow.pyfunc.load_model(version.uri, model_config={"dtype": dtype})
    inner = model.unwrap_python_model() if hasattr(model, "_none") else model._model_impl
    weights = inner.model.engine.model.get_input_embeddings().weight
    assert weights.dtype == getattr(torch, dtype)


def test_model_config_refuses_what_is_not_there(version: ModelVersion) -> None:
    with pytest.raises(UsageError, match="dtype"):
        mlflow.pyfunc.load_model(version.uri, model_config={"dtype": "float17"})
    with pytest.raises(UsageError, match="attention"):
        mlflow.pyfunc.load_model(version.uri, model_config={"attention": "clever"})
    with pytest.raises(UsageError, match="device"):
        mlflow.pyfunc.load_model(version.uri, model_config={"device": "tpu"})
