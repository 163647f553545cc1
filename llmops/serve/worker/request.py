"""Requests of the OpenAI protocol, read strictly.

What this server cannot do is refused by name, never ignored; ``user`` is taken, as it names the
end user and changes no answer. A parameter that is ``null`` counts as absent.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from llmops.records import Message, Sampling

ROLES = ("system", "user", "assistant")
MAX_STOPS = 16
MAX_SEED = 2**63 - 1
COMMON = (
    "model",
    "max_tokens",
    "temperature",
    "top_p",
    "seed",
    "stop",
    "n",
    "stream",
    "stream_options",
    "user",
)
CHAT = ("messages", "max_completion_tokens", *COMMON)
TEXT = ("prompt", *COMMON)


class ApiError(Exception):
    """A request that is answered with an error in OpenAI's shape.

    Args:
        status: HTTP status.
        message: What was received and what is allowed.
        param: The parameter at fault.
        code: OpenAI's short name of the error, where it has one.
        headers: Sent with the answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code
        self.headers = dict(headers or {})

    def body(self) -> dict[str, object]:
        """The JSON that clients of OpenAI's protocol read."""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        return {
            "error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}
        }


@dataclass(frozen=True)
class Request:
    """A request that can be served.

    Attributes:
        prompt: Messages of a chat, or the text that a completion continues.
        sampling: Its ``max_tokens`` is ``None`` if the client named no limit.
    """

    prompt: list[Message] | str
    sampling: Sampling
    stream: bool
    include_usage: bool


def parse(raw: bytes, *, chat: bool, names: Collection[str]) -> Request:
    """Reads the body of a request.

    Args:
        raw: JSON.
        chat: ``/v1/chat/completions``, else ``/v1/completions``.
        names: What the request may call the model.

    Raises:
        ApiError: 400 for a malformed or unsupported request, 404 for another model.
    """
    body = _mapping(raw)
    allowed = CHAT if chat else TEXT
    for name in body:
        if name not in allowed:
            raise _bad(f"unsupported parameter {name!r}; allowed: {', '.join(allowed)}", name)
    _check_model(body, names)
    if _number(body, "n", 1, low=1, whole=True) != 1:
        raise _bad("n: one answer per request, received more", "n")
    stream = _flag(body, "stream")
    limit = "max_completion_tokens" if "max_completion_tokens" in body else "max_tokens"
    return Request(
        prompt=_messages(body) if chat else _prompt(body),
        sampling=_sampling(body, limit),
        stream=stream,
        include_usage=_include_usage(body, stream),
    )


def _mapping(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise _bad(f"the body is not JSON ({type(error).__name__})") from None
    if not isinstance(body, dict):
        raise _bad("the body must be a JSON object")
    return {name: value for name, value in body.items() if value is not None}


def _check_model(body: Mapping[str, Any], names: Collection[str]) -> None:
    served = ", ".join(sorted(names))
    if not isinstance(body.get("model"), str):
        raise _bad(f"model: required; this server answers to {served}", "model")
    if body["model"] not in names:
        asked = _text(body["model"], "model")[:200]
        message = f"model {asked!r} is not here; this server answers to {served}"
        raise ApiError(404, message, param="model", code="model_not_found")


def _sampling(body: Mapping[str, Any], limit: str) -> Sampling:
    default = Sampling()
    seed = _number(body, "seed", None, low=0, high=MAX_SEED, whole=True)
    top_p = _number(body, "top_p", default.top_p, low=0, high=1)
    if top_p == 0:
        raise _bad("top_p: must be above 0; temperature 0 is what makes answers greedy", "top_p")
    return Sampling(
        max_tokens=None
        if limit not in body
        else int(_number(body, limit, 1, low=1, whole=True) or 1),
        temperature=float(_number(body, "temperature", default.temperature, low=0, high=2) or 0),
        top_p=float(top_p or 1),
        seed=None if seed is None else int(seed),
        stop=_stop(body),
    )


def _number(
    body: Mapping[str, Any],
    name: str,
    default: float | None,
    *,
    low: float,
    high: float = float("inf"),
    whole: bool = False,
) -> float | None:
    if name not in body:
        return default
    value = body[name]
    kinds = (int,) if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
        kind = "an integer" if whole else "a number"
        range_ = f"of at least {low}" if high == float("inf") else f"between {low} and {high}"
        raise _bad(f"{name}: must be {kind} {range_}", name)
    return value


def _flag(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise _bad(f"{name}: must be true or false", name)
    return value


def _include_usage(body: Mapping[str, Any], stream: bool) -> bool:
    options = body.get("stream_options", {})
    if not isinstance(options, dict) or set(options) - {"include_usage"}:
        raise _bad("stream_options: only include_usage is supported", "stream_options")
    if options and not stream:
        raise _bad("stream_options: only with stream true", "stream_options")
    return _flag(options, "include_usage")


def _stop(body: Mapping[str, Any]) -> tuple[str, ...]:
    value = body.get("stop", [])
    stops = [value] if isinstance(value, str) else value
    if not isinstance(stops, list) or len(stops) > MAX_STOPS or "" in stops:
        raise _bad(f"stop: must be a string or up to {MAX_STOPS} strings, none empty", "stop")
    return tuple(_text(stop, "stop") for stop in stops)


def _prompt(body: Mapping[str, Any]) -> str:
    if "prompt" not in body:
        raise _bad("prompt: required", "prompt")
    return _text(body["prompt"], "prompt")


def _messages(body: Mapping[str, Any]) -> list[Message]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise _bad("messages: required, a list of at least one message", "messages")
    return [_message(message, f"messages[{i}]") for i, message in enumerate(messages)]


def _message(message: object, place: str) -> Message:
    if not isinstance(message, dict) or set(message) != {"role", "content"}:
        raise _bad(f"{place}: must have role and content, and nothing else", "messages")
    if message["role"] not in ROLES:
        raise _bad(f"{place}.role: must be one of {', '.join(ROLES)}", "messages")
    content = message["content"]
    if isinstance(content, list):
        content = "".join(_part(part, place) for part in content)
    return {"role": message["role"], "content": _text(content, f"{place}.content")}


def _part(part: object, place: str) -> str:
    if not isinstance(part, dict) or part.get("type") != "text":
        raise _bad(f"{place}.content: only parts of type text are supported", "messages")
    return _text(part.get("text"), f"{place}.content.text")


def _text(value: object, place: str) -> str:
    """A string that UTF-8 can carry: JSON lets half a surrogate pair through, tokenizers fail."""
    param = place.split(".")[0].split("[")[0]
    if not isinstance(value, str):
        raise _bad(f"{place}: must be a string", param)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _bad(f"{place}: holds characters that are not valid Unicode", param) from None
    return value


def _bad(message: str, param: str | None = None) -> ApiError:
    return ApiError(400, message, param=param)
