"""One request, three entry points, one meaning: pyfunc, MLflow's scoring server, a deployment.

Each request below is either answered by all three, with the same texts, finish reasons and token
counts, or refused by all three in the same words.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server
from servers import machine
from sides import write_adapter
from starlette.testclient import TestClient
from versions import log_version
from workers import worker_app

from llmops.engine.local.engine import LocalEngine
from llmops.models.resolve import resolve

HI = [{"role": "user", "content": "Split a pathname."}]
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
LONG = "Join two or more pathname components. " * 40


def user(content: Any, **more: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content, **more}]


ANSWERED: dict[str, dict[str, Any]] = {
    "defaults": {"messages": HI},
    "a length": {"messages": HI, "max_tokens": 5},
    "a length of one": {"messages": HI, "max_tokens": 1},
    "the newer name of the length": {"messages": HI, "max_completion_tokens": 5},
    "both names, one value": {"messages": HI, "max_tokens": 4, "max_completion_tokens": 4},
    "a long prompt and no length": {"messages": user(LONG)},
    "greedy": {"messages": HI, "temperature": 0, "max_tokens": 6},
    "hottest": {"messages": HI, "temperature": 2, "seed": 1, "max_tokens": 6},
    "warm": {"messages": HI, "temperature": 0.7, "seed": 1, "max_tokens": 6},
    "a part of the words": {"messages": HI, "temperature": 1.0, "top_p": 0.5, "seed": 2, "max_tokens": 6},
    "all of the words": {"messages": HI, "temperature": 1.0, "top_p": 1, "seed": 2, "max_tokens": 6},
    "seed zero": {"messages": HI, "temperature": 1.0, "seed": 0, "max_tokens": 6},
    "a negative seed": {"messages": HI, "temperature": 1.0, "seed": -7, "max_tokens": 6},
    "the highest seed": {"messages": HI, "temperature": 1.0, "seed": 2**63 - 1, "max_tokens": 6},
    "the lowest seed": {"messages": HI, "temperature": 1.0, "seed": -(2**63), "max_tokens": 6},
    "three answers": {"messages": HI, "n": 3, "temperature": 1.0, "seed": 5, "max_tokens": 6},
    "answers past the highest seed": {
        "messages": HI, "n": 2, "temperature": 1.0, "seed": 2**63 - 1, "max_tokens": 6
    },
    "three greedy answers": {"messages": HI, "n": 3, "max_tokens": 3},
    "a list of stops": {"messages": HI, "stop": ["e", "a"], "max_tokens": 20},
    "sixteen stops": {"messages": HI, "stop": [f"<{i}>" for i in range(16)], "max_tokens": 5},
    "no stops": {"messages": HI, "stop": [], "max_tokens": 5},
    "one stop as text": {"messages": HI, "stop": "e", "max_tokens": 20},
    "a system message": {"messages": [{"role": "system", "content": "Be brief."}, *HI], "max_tokens": 5},
    "turns": {"messages": [*HI, {"role": "assistant", "content": "No."}, *HI], "max_tokens": 5},
    "parts": {
        "messages": user([{"type": "text", "text": "Split "}, {"type": "text", "text": "it."}]),
        "max_tokens": 5,
    },
    "an empty message": {"messages": user(""), "max_tokens": 5},
    "characters beyond the first plane": {"messages": user("\U0001f600 é"), "max_tokens": 5},
    "a message as clients keep it": {"messages": user("hi", name=None, refusal=None), "max_tokens": 5},
    "nulls": {"messages": HI, "max_tokens": 5, "temperature": None, "seed": None, "tools": None},
    "harmless names": {
        "messages": HI, "max_tokens": 5, "user": "ann", "metadata": {"a": "b"}, "store": True, "id": 3
    },
    "the newer role": {
        "messages": [{"role": "developer", "content": "Be brief."}, *HI], "max_tokens": 5
    },
    "labels on a message": {
        "messages": user("hi", name="ann", type="message", id="m1", cache_control={"type": "ephemeral"}),
        "max_tokens": 5,
    },
    "an answer as clients echo it": {
        "messages": [
            *HI,
            {
                "role": "assistant", "content": "No.", "refusal": None, "annotations": [], "audio": None,
                "function_call": None, "tool_calls": [], "reasoning_content": "Hm.",
                "provider_specific_fields": {"refusal": None},
            },
            *HI,
        ],
        "max_tokens": 5,
    },
    "labels on a part": {
        "messages": user([{"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}]),
        "max_tokens": 5,
    },
    "no limit": {"messages": HI, "max_tokens": -1},
    "what servers of other makes call off": {
        "messages": HI, "max_tokens": 5, "top_k": -1, "min_p": 0, "repetition_penalty": 1.0,
        "skip_special_tokens": True, "ignore_eos": False, "length_penalty": 1, "stop_token_ids": [],
        "use_beam_search": False, "reasoning_effort": "none", "verbosity": "medium", "tool_choice": "auto",
    },
    "bookkeeping of clients": {
        "messages": HI, "max_tokens": 5, "safety_identifier": "u", "service_tier": "auto",
        "prompt_cache_key": "k", "prompt_cache_retention": "24h", "session_id": "s", "chat_id": "c",
        "parallel_tool_calls": True, "metadata": {}, "store": False,
    },
    "what is off": {
        "messages": HI, "max_tokens": 5, "stream": False, "logprobs": False, "tools": [],
        "frequency_penalty": 0, "logit_bias": {}, "response_format": {"type": "text"},
    },
}  # fmt: skip
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no messages": ({"max_tokens": 5}, "messages: required"),
    "null messages": ({"messages": None}, "messages: required"),
    "empty messages": ({"messages": []}, "messages: must be a non-empty list of {role, content}"),
    "messages that are text": ({"messages": "hi"}, "messages: must be a non-empty list"),
    "a message that is text": ({"messages": ["hi"]}, "messages[0]: expected {role, content}"),
    "messages and a prompt": ({"messages": HI, "prompt": "hi"}, "prompt: not allowed in a chat"),
    "no role": ({"messages": [{"content": "hi"}]}, "messages[0]: role None; allowed here:"),
    "another role": ({"messages": [*HI, {"role": "function", "content": "x"}]}, "messages[1]: role 'func"),
    "an invented role": ({"messages": [{"role": "bogus", "content": "x"}]}, "role 'bogus'; allowed here"),
    "a tool call that the template leaves out": (
        {"messages": [*HI, {"role": "assistant", "content": None, "tool_calls": [CALL]}]},
        "messages[1]: the model's chat template does not write tool calls",
    ),
    "a call by a user": ({"messages": user("x", tool_calls=[CALL])}, "allowed with role assistant only"),
    "a call without a function": (
        {"messages": [*HI, {"role": "assistant", "content": None, "tool_calls": [{"id": "c"}]}]},
        "messages[1]: tool_calls[0].function must be as in {id, type: function",
    ),
    "a file": ({"messages": user([{"type": "file", "file": {}}])}, "content[0] has type 'file'"),
    "a continued answer": ({"messages": HI, "continue_final_message": True}, "continue_final_message: not"),
    "marks in the answer": ({"messages": HI, "skip_special_tokens": False}, "skip_special_tokens: not"),
    "a penalty": ({"messages": HI, "frequency_penalty": 0.1}, "frequency_penalty: not supported"),
    "thinking": ({"messages": HI, "reasoning_effort": "high"}, "reasoning_effort: not supported"),
    "a role that is a list": ({"messages": [{"role": ["user"], "content": "x"}]}, "role ['user']"),
    "no content": ({"messages": [{"role": "user"}]}, "content must be text, received None"),
    "null content": ({"messages": user(None)}, "content must be text, received None"),
    "a number as content": ({"messages": user(5)}, "content must be text, received 5"),
    "no parts": ({"messages": user([])}, "messages[0]: content must be text, received []"),
    "an image": ({"messages": user([{"type": "image_url"}])}, "content[0] has type 'image_url'"),
    "a part without text": ({"messages": user([{"type": "text"}])}, "content[0] must hold text"),
    "an unknown key": ({"messages": user("hi", prefix=True)}, "messages[0]: unknown key 'prefix'"),
    "half a character": ({"messages": user("a\ud800")}, "messages[0]: holds half of a character"),
    "a prompt that is too long": ({"messages": user(LONG * 3)}, "but the model's context is 512"),
    "an answer that is too long": ({"messages": HI, "max_tokens": 5000}, "the model's context is 512"),
    "no token": ({"messages": HI, "max_tokens": 0}, "max_tokens: must be a whole number of at least 1"),
    "half a token": ({"messages": HI, "max_tokens": 1.5}, "max_tokens: must be a whole number"),
    "a length as text": ({"messages": HI, "max_tokens": "5"}, "max_tokens: must be a whole number"),
    "a length that is true": ({"messages": HI, "max_tokens": True}, "max_tokens: must be a whole"),
    "two lengths": ({"messages": HI, "max_tokens": 3, "max_completion_tokens": 4}, "two values"),
    "too hot": ({"messages": HI, "temperature": 2.1}, "temperature: must be a number from 0 to 2"),
    "below zero": ({"messages": HI, "temperature": -0.1}, "temperature: must be a number from 0 to"),
    "a temperature as text": ({"messages": HI, "temperature": "hot"}, "temperature: must be a number"),
    "no word": ({"messages": HI, "top_p": 0.0}, "top_p: must be a number above 0, at most 1"),
    "more than all words": ({"messages": HI, "top_p": 1.5}, "top_p: must be a number above 0, at"),
    "no answer": ({"messages": HI, "n": 0}, "n: must be a whole number from 1 to 128"),
    "too many answers": ({"messages": HI, "n": 129}, "n: must be a whole number from 1 to 128"),
    "a seed as text": ({"messages": HI, "seed": "x"}, "seed: must be a whole number from -2**63"),
    "a seed too high": ({"messages": HI, "seed": 2**63}, "seed: must be a whole number from -2**63"),
    "an empty stop": ({"messages": HI, "stop": [""]}, "stop: must be a non-empty string"),
    "too many stops": ({"messages": HI, "stop": ["x"] * 17}, "stop: must be a non-empty string"),
    "a number as stop": ({"messages": HI, "stop": [3]}, "stop: must be a non-empty string"),
    "a misspelt name": ({"messages": HI, "temprature": 1}, "temprature: unknown parameter (did you"),
    "another's name": ({"messages": HI, "max_new_tokens": 3}, "(use max_tokens)"),
    "tools": ({"messages": HI, "tools": [{}]}, "tools: not supported; allowed: max_tokens, temp"),
    "a bias": ({"messages": HI, "logit_bias": {"1": 2}}, "logit_bias: not supported"),
    "a format": ({"messages": HI, "response_format": {"type": "json_object"}}, "response_format: not"),
    "options of no stream": ({"messages": HI, "stream_options": {"include_usage": True}}, "only with"),
    "a stream that is text": ({"messages": HI, "stream": "yes"}, "stream: must be true or false"),
}  # fmt: skip
TYPED_BY_MLFLOW = {
    "one stop as text",
    "half a token",
    "a length as text",
    "a length that is true",
    "a temperature as text",
    "a seed as text",
    "a number as stop",
}
"""As a bare body, these meet MLflow's check of types by the signature, before any model is asked."""
NOT_FOR_CHAT = {"no messages"}
"""As bare bodies, MLflow's server does not take these for requests at all."""


@dataclass(frozen=True)
class EntryPoints:
    model: Any
    scoring: TestClient
    deployment: TestClient

    def pyfunc(self, request: dict[str, Any]) -> Any:
        """A completion, or the words of a refusal."""
        try:
            return self.model.predict(request)
        except MlflowException as error:
            refused = error.error_code == "INVALID_PARAMETER_VALUE"
            return error.message if refused else f"no refusal but {error.error_code}"

    def invocations(self, body: dict[str, Any]) -> Any:
        response = posted(self.scoring, "/invocations", body)
        done = response.json()
        if response.status_code == 200:
            return done["predictions"][0] if "predictions" in done else done
        assert response.status_code == 400
        return done["message"]

    def deployed(self, request: dict[str, Any]) -> Any:
        response = posted(self.deployment, "/v1/chat/completions", {"model": "bot", **request})
        done = response.json()
        if response.status_code == 200:
            return done
        assert response.status_code == 400
        assert done["error"]["type"] == "invalid_request_error"
        return done["error"]["message"]


def posted(client: TestClient, path: str, body: dict[str, Any]) -> Any:
    # ASCII: half of a surrogate pair is sent as JSON may write it
    return client.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"})


def meaning(reply: Any) -> Any:
    """An answer without what differs by nature; a refusal without its envelope and row."""
    if isinstance(reply, str):
        return reply.rpartition("Error: ")[2].removeprefix("row 0: ").removeprefix("params: ")
    assert set(reply) == {"id", "created", "model", "object", "choices", "usage"}
    return reply["object"], reply["choices"], reply["usage"]


@pytest.fixture(scope="module")
def entry(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EntryPoints]:
    """One version of the lively model behind all entry points."""
    place = tmp_path_factory.mktemp("machine")
    with machine(place, f"sqlite:///{place}/mlflow.db"), pytest.MonkeyPatch.context() as patch:
        patch.setenv("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "true")  # the server sets it for good
        version = log_version(write_adapter(folder, place / "a", seed=1), str(folder), "bot")
        model = mlflow.pyfunc.load_model(version.uri)
        files = resolve(version.uri)
        app = worker_app(LocalEngine([files]), files, "bot/1", "bot", key=None)
        yield EntryPoints(model, TestClient(scoring_server.init(model)), TestClient(app))


def test_there_are_sixty_of_them() -> None:
    assert len(ANSWERED) >= 30
    assert len(REFUSED) >= 30


@pytest.mark.parametrize("name", ANSWERED)
def test_an_answer_is_the_same_everywhere(entry: EntryPoints, name: str) -> None:
    request = ANSWERED[name]
    expected = meaning(entry.pyfunc(request))
    assert not isinstance(expected, str), expected
    assert meaning(entry.deployed(request)) == expected
    assert meaning(entry.invocations({"inputs": [request]})) == expected
    bare = meaning(entry.invocations(request))
    if name in TYPED_BY_MLFLOW:
        assert "Invalid parameters found" in bare
    else:
        assert bare == expected


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_is_the_same_everywhere(entry: EntryPoints, name: str) -> None:
    request, says = REFUSED[name]
    expected = meaning(entry.pyfunc(request))
    assert says in expected
    assert meaning(entry.deployed(request)) == expected
    assert meaning(entry.invocations({"inputs": [request]})) == expected
    bare = meaning(entry.invocations(request))
    if name in TYPED_BY_MLFLOW:
        assert "Invalid parameters found" in bare
    elif name in NOT_FOR_CHAT:
        assert "exactly one of the input fields" in bare
    else:
        assert bare == expected


@pytest.mark.parametrize(
    "request_",
    [
        {"messages": HI, "max_tokens": 6},
        {"messages": HI, "temperature": 1.0, "seed": -3, "stop": ["e"], "max_tokens": 20},
        {"messages": HI, "max_tokens": 6, "stream_options": {"include_usage": True}},
    ],
)
def test_a_stream_is_the_same_everywhere(entry: EntryPoints, request_: dict[str, Any]) -> None:
    """MLflow's scoring server does not stream."""
    body = {"model": "bot", "stream": True, **request_}
    lines = posted(entry.deployment, "/v1/chat/completions", body).text.split("\n\n")
    deployed = [json.loads(line.removeprefix("data: ")) for line in lines if "{" in line]
    streamed = list(entry.model.predict_stream(request_))
    assert [content(chunk) for chunk in streamed] == [content(chunk) for chunk in deployed]
    whole = entry.pyfunc({k: v for k, v in request_.items() if k != "stream_options"})
    pieces = [c["delta"].get("content", "") for chunk in streamed for c in chunk["choices"]]
    assert "".join(pieces) == whole["choices"][0]["message"]["content"]


def content(chunk: dict[str, Any]) -> dict[str, Any]:
    return {key: chunk[key] for key in chunk if key not in ("id", "created", "model")}


def test_a_stream_of_several_answers_is_refused_everywhere(entry: EntryPoints) -> None:
    body = {"messages": HI, "n": 2}
    with pytest.raises(MlflowException) as refused:
        next(entry.model.predict_stream(body))
    reply = meaning(entry.deployed({**body, "stream": True}))
    assert reply == meaning(refused.value.message) == "n: must be 1 for a stream, received 2"
