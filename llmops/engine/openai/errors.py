"""Errors of the OpenAI protocol, and their JSON for clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from llmops.errors import UsageError

if TYPE_CHECKING:
    import httpx

SHOWN = 80
"""Maximum number of characters of a received value that an error quotes."""


class RequestError(UsageError):
    """A request that is malformed or not supported.

    Args:
        message: The parameter's name, what was received, and what is allowed.
        param: The invalid parameter, ``None`` if the whole request is invalid.
        next_command: How to correct the request.
    """

    def __init__(
        self, message: str, *, param: str | None = None, next_command: str | None = None
    ) -> None:
        super().__init__(message, next_command=next_command)
        self.param = param


class ApiError(Exception):
    """An error as a server returns it: an HTTP status, and JSON in OpenAI's format.

    Args:
        status: HTTP status.
        message: What was received and what is allowed.
        param: The invalid parameter, ``None`` if there is none.
        code: OpenAI's short name for the error, ``None`` if it has none.
        headers: HTTP headers to send with the error.
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
        """Return the JSON body in OpenAI's format."""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        message, param = _encodable(self.message), self.param and _encodable(self.param)
        return {"error": {"message": message, "type": kind, "param": param, "code": self.code}}


def reason_of(reply: httpx.Response) -> str:
    """Return the reason in a refusal of a server, or the beginning of what it says instead."""
    try:
        return str(reply.json()["error"]["message"])
    except (ValueError, LookupError, TypeError):
        return reply.text[:300] or f"HTTP {reply.status_code} {reply.reason_phrase}"


def _encodable(text: str) -> str:
    """Escape halves of surrogate pairs, which JSON may hold and no response can."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def shown(value: object) -> str:
    """Return a received value as errors quote it, in at most 80 characters."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deeply, or a number with thousands of digits
        return type(value).__name__
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."
