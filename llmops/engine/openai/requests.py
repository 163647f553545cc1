"""Read requests of the OpenAI protocol, for the MLflow flavor and for deployments alike.

Unsupported parameters are refused by name and never ignored, with the same message at every entry
point.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from llmops.engine.openai.errors import ApiError, RequestError, shown
from llmops.engine.openai.messages import read_messages
from llmops.engine.openai.parameters import Parameters, known, read_parameters
from llmops.engine.openai.turns import broken
from llmops.records import Message, Sampling

TEXTS = ("messages", "prompt")
"""Keys of a request that hold its text; all others are parameters."""
Prompt = TypeVar("Prompt", list[Message], str)


@dataclass(frozen=True)
class Request(Generic[Prompt]):
    """A request that can be answered.

    Attributes:
        prompt: Messages of a chat, or a text to continue.
        samplings: The sampling of each of the ``n`` answers; their seeds differ.
        stream: Whether to stream the answer.
        include_usage: Whether a stream ends with the token counts.
    """

    prompt: Prompt
    samplings: tuple[Sampling, ...]
    stream: bool
    include_usage: bool


def read_body(raw: bytes) -> dict[str, Any]:
    """Read the JSON of a request.

    Raises:
        RequestError: The body is not JSON, or not an object.
    """
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"the body is not JSON ({type(error).__name__})") from None
    if not isinstance(body, dict):
        raise RequestError("the body must be a JSON object")
    return body


def check_model(given: Mapping[str, Any], served: Collection[str]) -> None:
    """Refuse a request to another model.

    Args:
        given: The request.
        served: Names of the model that this server serves.

    Raises:
        RequestError: The request names no model.
        ApiError: The request names another model (404).
    """
    names = ", ".join(sorted(served))
    model = given.get("model")
    if not isinstance(model, str):
        raise RequestError(f"model: required; allowed: {names}", param="model")
    if model not in served:
        message = f"model {model[:200]!a} is not served here; allowed: {names}"
        raise ApiError(404, message, param="model", code="model_not_found")


def read_chat(
    given: Mapping[str, Any], common: Mapping[str, Any] | None = None
) -> Request[list[Message]]:
    """Read a chat request.

    Args:
        given: ``messages`` and parameters.
        common: Defaults for parameters that the request lacks, from ``parameters.known``.

    Raises:
        RequestError: A message or a parameter is invalid.
    """
    parameters = _parameters(given, common)
    if given.get("prompt") is not None:
        raise RequestError(
            "prompt: not allowed in a chat request, which has messages", param="prompt"
        )
    return _request(read_messages(given.get("messages")), parameters)


def read_completion(given: Mapping[str, Any]) -> Request[str]:
    """Read a request to continue a text.

    Args:
        given: ``prompt`` and parameters.

    Raises:
        RequestError: The prompt or a parameter is invalid.
    """
    parameters = _parameters(given, None)
    if given.get("messages") is not None:
        raise RequestError(
            "messages: not allowed in a completion; send messages to /v1/chat/completions",
            param="messages",
        )
    return _request(read_prompt(given.get("prompt")), parameters)


def read_prompt(given: object) -> str:
    """Read a prompt.

    Raises:
        RequestError: The prompt is missing or not text.
    """
    if given is None:
        raise RequestError("prompt: required", param="prompt")
    if not isinstance(given, str):
        raise RequestError(f"prompt: must be text, received {shown(given)}", param="prompt")
    if wrong := broken(given):
        raise RequestError(f"prompt: {wrong}", param="prompt")
    return given


def _parameters(given: Mapping[str, Any], common: Mapping[str, Any] | None) -> Parameters:
    own = known({key: value for key, value in given.items() if key not in TEXTS})
    return read_parameters({**(common or {}), **own})


def _request(prompt: Prompt, parameters: Parameters) -> Request[Prompt]:
    options = parameters.stream_options
    return Request(
        prompt=prompt,
        samplings=parameters.samplings(),
        stream=parameters.stream,
        include_usage=options is not None and options.include_usage,
    )
