"""Talks to a deployment over HTTP."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any, Literal, overload
from urllib.error import HTTPError

from llmops.errors import ServeError
from llmops.records import Answer, Deployment, Sampling

KEY_VARIABLE = "LLMOPS_API_KEY"
ANSWER_SECONDS = 600.0
READY_SECONDS = 1.0

# A proxy that the environment names has no business between this machine and itself.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@overload
def ask(
    deployment: Deployment,
    messages: Sequence[Mapping[str, str]],
    sampling: Sampling = ...,
    stream: Literal[False] = ...,
) -> Answer: ...
@overload
def ask(
    deployment: Deployment,
    messages: Sequence[Mapping[str, str]],
    sampling: Sampling,
    stream: Literal[True],
) -> Iterator[str | Answer]: ...
def ask(
    deployment: Deployment,
    messages: Sequence[Mapping[str, str]],
    sampling: Sampling = Sampling(),  # noqa: B008 - frozen
    stream: bool = False,
) -> Answer | Iterator[str | Answer]:
    """Asks a deployment one question.

    Args:
        deployment: From ``create`` or ``get``.
        messages: The conversation, each message with ``role`` and ``content``.
        sampling: Length, temperature, stop strings.
        stream: Yield pieces of text as they come, then the whole ``Answer``.

    Raises:
        ServeError: The deployment does not answer, or refuses.
    """
    body = _body(deployment, messages, sampling)
    return _stream(deployment, body) if stream else _answer(chat(deployment, body))


def chat(deployment: Deployment, body: Mapping[str, object]) -> dict[str, Any]:
    """Posts a body to ``/v1/chat/completions`` and returns the response.

    Raises:
        ServeError: The deployment does not answer, or refuses.
    """
    with _failures(deployment), _post(deployment, body) as response:
        completion: dict[str, Any] = json.load(response)
    return completion


def is_ready(endpoint: str) -> bool:
    """Whether ``/readyz`` says yes within a second."""
    try:
        with _opener.open(f"{endpoint}/readyz", timeout=READY_SECONDS) as response:
            return int(response.status) == 200
    except (OSError, HTTPException):
        return False


def _body(
    deployment: Deployment, messages: Sequence[Mapping[str, str]], sampling: Sampling
) -> dict[str, object]:
    return {
        "model": deployment.model,
        "messages": [dict(message) for message in messages],
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": sampling.seed,
        "stop": list(sampling.stop),
    }


def _stream(deployment: Deployment, body: dict[str, object]) -> Iterator[str | Answer]:
    options = {"stream": True, "stream_options": {"include_usage": True}}
    text, reason, usage = "", "", {"completion_tokens": 0, "prompt_tokens": 0}
    with _failures(deployment), _post(deployment, body | options) as response:
        for event in _events(deployment, response):
            usage = event.get("usage") or usage
            for choice in event["choices"]:
                reason = choice["finish_reason"] or reason
                if piece := choice["delta"].get("content"):
                    text += piece
                    yield piece
    yield Answer(text, usage["completion_tokens"], usage["prompt_tokens"], reason)


def _events(deployment: Deployment, lines: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    """The JSON of each server-sent event, up to the one that says that all have come."""
    for line in lines:
        data = line.removeprefix(b"data: ").strip()
        if data == b"[DONE]":
            return
        if not data:
            continue
        event = json.loads(data)
        if "error" in event:
            raise ServeError(f"deployment {deployment.name}: {event['error']['message']}")
        yield event
    raise ServeError(
        f"deployment {deployment.name}: the stream broke off", next_command=f"less {deployment.log}"
    )


def _answer(completion: Mapping[str, Any]) -> Answer:
    choice, usage = completion["choices"][0], completion["usage"]
    return Answer(
        text=choice["message"]["content"],
        tokens=usage["completion_tokens"],
        prompt_tokens=usage["prompt_tokens"],
        finish_reason=choice["finish_reason"],
    )


def _post(deployment: Deployment, body: Mapping[str, object]) -> Any:
    headers = {"Content-Type": "application/json"}
    if key := os.environ.get(KEY_VARIABLE):
        headers["Authorization"] = f"Bearer {key}"
    request = urllib.request.Request(
        f"{deployment.endpoint}/v1/chat/completions", json.dumps(body).encode(), headers
    )
    return _opener.open(request, timeout=ANSWER_SECONDS)


@contextmanager
def _failures(deployment: Deployment) -> Iterator[None]:
    """Says what went wrong between here and the server."""
    try:
        yield
    except HTTPError as error:
        with error:
            raise ServeError(
                f"deployment {deployment.name}: refused with {error.code}: {_reason(error)}",
                next_command=f"export {KEY_VARIABLE}=…" if error.code == 401 else None,
            ) from error
    except (OSError, HTTPException) as error:
        raise ServeError(
            f"deployment {deployment.name}: {deployment.endpoint} does not answer ({error})",
            next_command=f"mlflow deployments get -t llmops --name {deployment.name}",
        ) from error


def _reason(error: HTTPError) -> str:
    try:
        return str(json.load(error)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return error.reason
