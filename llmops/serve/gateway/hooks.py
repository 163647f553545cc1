"""What is plugged into the gateway: who may ask, and the record that is kept of each answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from starlette.datastructures import Headers

from llmops.records.serving import Served


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Attributes:
        name: Name of the key that the request carries; ``None`` on a deployment without keys.
    """

    name: str | None


class Guard(Protocol):
    """Decides who may ask; called on the event loop for each request, so it must not block."""

    def admit(self, headers: Headers) -> Caller:
        """Return who asks, and count the request.

        Args:
            headers: Headers of the request.

        Raises:
            ApiError: No valid key (401), or over a limit of the key (429 with ``Retry-After``).
        """
        ...

    def spend(self, caller: Caller, tokens: int) -> None:
        """Count the tokens of an answer, prompt and completion together."""
        ...

    def close(self) -> None:
        """Free what it holds, when the deployment has ended."""
        ...


@dataclass(slots=True, eq=False)
class Exchange:
    """A request and what became of it; the fields after ``traceparent`` are set while it is answered.

    Attributes:
        path: Such as ``/v1/chat/completions``.
        body: The request's fields as the client sent them, without ``model``.
        served: The version that answers.
        caller: Who asked.
        stream: Whether the answer is streamed.
        began: Unix time at which the request was complete, in seconds.
        traceparent: Header of that name; ``None`` without one.
        status: HTTP status of the answer; 0 if the client left before it.
        error: Kind of failure, a short name; ``None`` for an answer that was finished.
        answer: JSON of a whole answer, as the engine wrote it.
        events: JSON of each event of a stream; empty unless the record asks for content.
        first: Seconds until the first event of a stream; ``None`` before it and for whole answers.
        seconds: Seconds until the end.
        prompt_tokens: Tokens of the prompt; ``None`` if unknown.
        completion_tokens: Tokens of the answer; ``None`` if unknown.
    """

    path: str
    body: Mapping[str, Any]
    served: Served
    caller: Caller
    stream: bool
    began: float
    traceparent: str | None = None
    status: int = 0
    error: str | None = None
    answer: bytes = b""
    events: list[bytes] = field(default_factory=list)
    first: float | None = None
    seconds: float = 0.0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Record(Protocol):
    """The record of one exchange."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers that the answer carries, such as those of trace and receipt."""
        ...

    @property
    def content(self) -> bool:
        """Whether the events of a stream are to be kept until the end."""
        ...

    def end(self, exchange: Exchange) -> None:
        """Take the finished exchange; called on the event loop, so it must only queue it."""
        ...


class Recorder(Protocol):
    """Keeps records of exchanges; its methods are called on the event loop and must not block."""

    @property
    def dropped(self) -> int:
        """Number of exchanges that were not recorded because the queue was full."""
        ...

    @property
    def unredacted(self) -> int:
        """Number of exchanges that were recorded without content: it could not be redacted."""
        ...

    def begin(self, exchange: Exchange) -> Record:
        """Begin the record of a request that a version is about to answer."""
        ...

    def close(self) -> None:
        """Hand on what is queued, when the deployment has ended; it may block."""
        ...


class Keyless:
    """The guard of a deployment without keys: anybody who can reach it may ask."""

    def admit(self, headers: Headers) -> Caller:
        """Return the nameless caller."""
        return Caller(None)

    def spend(self, caller: Caller, tokens: int) -> None:
        """Count nothing."""

    def close(self) -> None:
        """Do nothing."""


class Unrecorded:
    """The recorder that keeps nothing; it is its own record of every exchange."""

    dropped = unredacted = 0
    content = False
    headers: Mapping[str, str] = {}

    def begin(self, exchange: Exchange) -> Unrecorded:
        """Return the empty record."""
        return self

    def end(self, exchange: Exchange) -> None:
        """Keep nothing."""

    def close(self) -> None:
        """Do nothing."""
