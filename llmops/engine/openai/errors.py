"""Refusals of the OpenAI protocol, and the JSON that carries an error to a client."""

from __future__ import annotations

from collections.abc import Mapping

from llmops.errors import UsageError

SHOWN = 80
"""Characters of a received value that an error quotes."""


class RequestError(UsageError):
    """A request that is malformed, or asks for what is not supported.

    Args:
        message: What was received and what is allowed, beginning with the parameter's name.
        param: The parameter at fault, ``None`` if it is the whole request.
        next_command: How to put it right.
    """

    def __init__(
        self, message: str, *, param: str | None = None, next_command: str | None = None
    ) -> None:
        super().__init__(message, next_command=next_command)
        self.param = param


class ApiError(Exception):
    """An error as a server answers it: a status, and JSON in OpenAI's shape.

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
        """Return the JSON that clients of OpenAI's protocol read."""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        return {
            "error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}
        }


def shown(value: object) -> str:
    """Return a received value as errors quote it: 80 characters at most."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deeply, or a number of thousands of digits
        return type(value).__name__
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."
