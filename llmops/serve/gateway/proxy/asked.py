"""What of a request is the gateway's business; everything else is passed to the engine unchanged."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NoReturn

from llmops.engine.openai.errors import RequestError, shown
from llmops.engine.openai.parameters import MAX_ANSWERS, NO_LIMIT

LIMITS = ("max_tokens", "max_completion_tokens")
"""Parameters that limit the length of an answer."""
MAX_DEPTH = 100
"""Nesting of objects and lists in a request; readers of JSON give up somewhere beyond it."""


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


DECODER = json.JSONDecoder(parse_constant=_refuse)
ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as the gateway understands it.

    Attributes:
        fields: The request's fields as the client sent them, without ``model``.
        model: Name of the model; ``None`` asks whichever version is current.
        stream: Whether the answer is to be streamed.
        usage: Whether the client wants the token counts at the end of a stream; the gateway always
            asks for them.
        encoded: JSON of the fields for the engine, without ``model``.
    """

    fields: dict[str, Any]
    model: str | None
    stream: bool
    usage: bool
    encoded: bytes

    def body(self, model: str) -> bytes:
        """Return the JSON for the engine, which asks the given model."""
        head = b'{"model":' + ENCODER.encode(model).encode()
        return head + (b"," + self.encoded[1:] if len(self.encoded) > 2 else b"}")


def read(raw: bytes, max_tokens: int) -> Asked:
    """Read the body of a request.

    Args:
        raw: JSON.
        max_tokens: Most tokens that a request may ask for.

    Raises:
        RequestError: The body is not a JSON object, is nested too deeply, holds text that is not
            Unicode, or has a model, a stream, a number of answers or a limit that is not allowed.
    """
    fields = _object(raw)
    model = fields.pop("model", None)
    if not isinstance(model, (str, type(None))):
        raise RequestError(f"model: must be text, received {shown(model)}", param="model")
    stream = fields.get("stream")
    if not isinstance(stream, (bool, type(None))):
        raise RequestError(
            f"stream: must be true or false, received {shown(stream)}", param="stream"
        )
    for name in LIMITS:
        if fields.get(name) == NO_LIMIT:
            fields[name] = None  # an engine may take it for a number
    _check_amount(fields, max_tokens)
    usage = True
    sent = fields
    if stream:
        usage, sent = _with_usage(fields)
    return Asked(fields, model, bool(stream), usage, _encoded(sent))


def _object(raw: bytes) -> dict[str, Any]:
    try:
        fields = DECODER.decode(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise RequestError(f"the body is not JSON ({type(error).__name__})") from None
    if not isinstance(fields, dict):
        raise RequestError("the body must be a JSON object")
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _depth(fields) > MAX_DEPTH:
        raise RequestError(f"the body is nested more than {MAX_DEPTH} levels deep")
    return fields


def _depth(fields: dict[str, Any]) -> int:
    depth, level = 0, list[Any]([fields])
    while level:
        depth += 1
        below: list[Any] = []
        for one in level:
            below += one.values() if isinstance(one, dict) else one
        level = [one for one in below if isinstance(one, (dict, list))]
    return depth


def _check_amount(fields: dict[str, Any], max_tokens: int) -> None:
    """Refuse a request that would hold the engine for longer than the deployment allows."""
    for name in LIMITS:
        _check_number(name, fields.get(name), max_tokens)
    _check_number("n", fields.get("n"), MAX_ANSWERS)
    prompt = fields.get("prompt")
    if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int):
        answers = len(prompt) * (fields.get("n") or 1)
        if answers > MAX_ANSWERS:
            raise RequestError(
                f"prompt: {answers} answers in one request; allowed: at most {MAX_ANSWERS}",
                param="prompt",
            )


def _check_number(name: str, given: object, most: int) -> None:
    if given is None:
        return
    if not isinstance(given, int) or isinstance(given, bool) or not 0 <= given <= most:
        raise RequestError(
            f"{name}: must be a whole number of at most {most}, received {shown(given)}", param=name
        )


def _with_usage(fields: dict[str, Any]) -> tuple[bool, dict[str, Any]]:
    """Return whether the client wants the token counts, and fields that ask the engine for them."""
    options = fields.get("stream_options")
    if not isinstance(options, (dict, type(None))):
        return True, fields  # the engine refuses it
    wanted = bool(options and options.get("include_usage"))
    return wanted, fields | {"stream_options": {**(options or {}), "include_usage": True}}


def _encoded(fields: dict[str, Any]) -> bytes:
    try:
        return ENCODER.encode(fields).encode()
    except ValueError as error:
        what = "half a surrogate pair" if isinstance(error, UnicodeError) else "an infinite number"
        raise RequestError(f"the body contains {what}") from None
