"""Finished exchanges of a gateway, and what becomes of them in MLflow."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llmops.records import BaseModel, ModelFiles
from llmops.records.serving import Proof, Served
from llmops.serve.deployment.config import Config
from llmops.serve.gateway.hooks import Caller, Exchange
from llmops.store import connection

PROOF = Proof("d" * 64, "IMPROVED", "0" * 32)
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SECRET = "Mrs Smith's card is 4111"


def served(proof: Proof | None = PROOF, model_id: str | None = "m-1") -> Served:
    base = BaseModel("tiny", "models:/tiny/1", "b" * 64, Path("nowhere"))
    files = ModelFiles("v7", "models:/bot/7", base, Path("nowhere"), "a" * 64, model_id)
    return Served("bot@v7", files, proof)


def config(**changes: Any) -> Config:
    chosen = {"name": "bot", "uri": "models:/bot/7", "follow": False, "host": "127.0.0.1"}
    return Config(**{**chosen, "port": 0, **changes})


def exchange(**changes: Any) -> Exchange:
    """An answer of one choice, all of it at once."""
    message = {"role": "assistant", "content": "A test."}
    answer = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    fields: dict[str, Any] = {
        "path": "/v1/chat/completions",
        "body": {"messages": [{"role": "user", "content": "What is it?"}], "temperature": 0.5},
        "served": served(),
        "caller": Caller("ci"),
        "stream": False,
        "began": time.time(),
        "status": 200,
        "answer": json.dumps(answer).encode(),
        "first": 0.125,
        "seconds": 0.25,
        "prompt_tokens": 9,
        "completion_tokens": 3,
    }
    return Exchange(**{**fields, **changes})


def line_of(**changes: Any) -> dict[str, Any]:
    """What the recorder hands on for an exchange, as it arrives in the other process."""
    line = {
        "trace_id": "tr-" + "1" * 32,
        "receipt": 'deployment="bot"',
        "path": "/v1/chat/completions",
        "version": "bot@v7",
        "uri": "models:/bot/7",
        "model_id": "m-1",
        "caller": "ci",
        "stream": False,
        "began": 1_700_000_000.5,
        "seconds": 0.25,
        "first": 0.125,
        "status": 200,
        "error": None,
        "prompt_tokens": 9,
        "completion_tokens": 3,
        "sampling": {"temperature": 0.5},
        "traceparent": None,
        "body": {"messages": [{"role": "user", "content": "What is it?"}]},
        "answer": exchange().answer.decode(),
        "events": [],
        "cut": False,
    }
    assert set(changes) <= set(line)
    return {**line, **changes}


def traces_of(experiment: str = "bot-serving") -> dict[str, Any]:
    """All traces of an experiment by their ids; none before it exists."""
    found = connection.client().get_experiment_by_name(experiment)
    if found is None:
        return {}
    place = [found.experiment_id]
    traces = connection.client().search_traces(locations=place, max_results=500)
    return {trace.info.trace_id: trace for trace in traces}


def wait_until(happened: Callable[[], object], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.05)


def redact(messages: list[dict[str, Any]], answer: str) -> tuple[list[dict[str, Any]], str]:
    """A hook as users write it."""
    for message in messages:
        message["content"] = message["content"].replace(SECRET, "***")
    return messages, answer.replace(SECRET, "***")


def broken_redact(messages: list[dict[str, Any]], answer: str) -> tuple[list[dict[str, Any]], str]:
    raise ValueError(f"cannot parse {answer}")


def odd_redact(messages: list[dict[str, Any]], answer: str) -> Any:
    return answer
