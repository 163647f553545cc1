"""A client for one model behind the OpenAI chat protocol.

The official client retries transient failures (connection, timeout, 408, 409, 429, 5xx) with
growing pauses, or after the delay that the server names. A lasting failure becomes an empty answer
with the reason as its error.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Generator
from dataclasses import replace
from typing import Any

from llmops.engine.chat_format import Messages
from llmops.engine.openai.credentials import NO_KEY, anonymous
from llmops.engine.openai.endpoint import Endpoint
from llmops.engine.requests import failed
from llmops.errors import ServeError, UsageError, first_line
from llmops.records import Answer, Sampling

CUT_OFF = frozenset({"abort", "error"})
"""Finish reasons of an answer that the server itself broke off."""
PROBE = ({"role": "user", "content": "Hello."},)
"""The conversation that tests whether a server still answers."""
PROBE_TOKENS = 16
"""Maximum tokens of the answer to the probe."""
UNREADABLE = (AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""Exceptions from reading a reply of another shape, or one that is nested too deeply."""


class ChatClient:
    """A client for one model; threads may share it.

    Args:
        endpoint: The model's URL and name.
        key: API key, sent as a bearer token and never shown.
        timeout: Seconds for one attempt.
        retries: Number of retries for one prompt, with pauses that grow to 8 s.
        key_help: The next step that an error suggests if the server refuses the key.

    Attributes:
        endpoint: The model's URL and name.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        key: str,
        timeout: float,
        retries: int,
        key_help: str | None = None,
    ) -> None:
        from openai import DefaultHttpxClient, OpenAI

        self.endpoint, self._key_help = endpoint, key_help
        # A proxy from the environment cannot reach this machine's own loopback.
        hooks = {"request": [anonymous]} if key == NO_KEY else {}
        connections = DefaultHttpxClient(trust_env=not endpoint.is_loopback, event_hooks=hooks)
        self._close = weakref.finalize(self, connections.close)
        self._client = OpenAI(
            base_url=endpoint.url,
            api_key=key,
            timeout=timeout,
            max_retries=retries,
            http_client=connections,
        )

    def answer(self, messages: Messages, sampling: Sampling) -> Answer:
        """Answer a conversation; if the server fails, the answer is empty and has ``error`` set.

        Args:
            messages: Messages with ``role`` and ``content``.
            sampling: Sampling; with ``max_tokens=None`` the server chooses the length.

        Returns:
            The answer, with the seconds that it took, retries included.

        Raises:
            UsageError: The server has no such model, or refuses the key.
        """
        import openai

        begun = time.monotonic()
        try:
            answer = _answer_of(self._create(messages, sampling))
            return replace(answer, seconds=round(time.monotonic() - begun, 4))
        except openai.OpenAIError as error:
            self._refuse_mistakes(error)
            return failed(_reason(error))
        except UNREADABLE as error:
            return failed(f"the server's reply is not a chat completion: {_reason(error)}")

    def stream(self, messages: Messages, sampling: Sampling) -> Generator[str | Answer]:
        """Yield pieces of an answer as they arrive, then the complete answer.

        Args:
            messages: Messages with ``role`` and ``content``.
            sampling: Sampling; with ``max_tokens=None`` the server chooses the length.

        Raises:
            UsageError: The server refuses the request or the key, or has no such model.
            ServeError: The server does not answer, or breaks off the answer.
        """
        import httpx
        import openai

        options = {"stream": True, "stream_options": {"include_usage": True}}
        streamed = _StreamedAnswer()
        try:
            with self._create(messages, sampling, **options) as chunks:
                for chunk in chunks:
                    if piece := streamed.add(chunk):
                        yield piece
        except openai.OpenAIError as error:
            self._refuse_mistakes(error)
            refused = isinstance(error, (openai.BadRequestError, openai.UnprocessableEntityError))
            kind = UsageError if refused else ServeError
            raise kind(f"{self.endpoint.url}: {_reason(error)}") from error
        except (httpx.HTTPError, *UNREADABLE) as error:
            raise ServeError(
                f"{self.endpoint.url}: the stream broke off: {_reason(error)}"
            ) from error
        answer = streamed.answer()
        if answer.error is not None:
            raise ServeError(f"{self.endpoint.url}: {answer.error}")
        yield answer

    def outage(self, sampling: Sampling) -> str | None:
        """Probe the server after a failed prompt; return why it does not answer.

        A side must not lose because its server ended, its quota ran out, or a proxy returned an
        error page. Only a second, harmless prompt shows whether the first one caused the failure.

        Args:
            sampling: Sampling of the failed prompt; the probe uses it with at most 16 tokens.

        Returns:
            The reason; ``None`` if the server answers the probe.

        Raises:
            UsageError: The server has no such model, or refuses the key.
        """
        limit = min(sampling.max_tokens or PROBE_TOKENS, PROBE_TOKENS)
        return self.answer(PROBE, replace(sampling, max_tokens=limit)).error

    def close(self) -> None:
        """Close the connections."""
        self._close()

    def _create(self, messages: Messages, sampling: Sampling, **options: Any) -> Any:
        request: dict[str, Any] = {
            "model": self.endpoint.model,
            "messages": [dict(message) for message in messages],
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
            "stop": list(sampling.stop) or None,
            **options,
        }
        given = {name: value for name, value in request.items() if value is not None}
        return self._client.chat.completions.create(**given)

    def _refuse_mistakes(self, error: Exception) -> None:
        """Raise the errors that would fail every prompt: a wrong key or a wrong model."""
        import openai

        if isinstance(error, (openai.AuthenticationError, openai.PermissionDeniedError)):
            raise UsageError(
                f"{self.endpoint.url}: the server refuses the key ({error.status_code})",
                next_command=self._key_help,
            ) from error
        if isinstance(error, openai.NotFoundError):
            raise UsageError(
                f"{self.endpoint.url}: the server has no model {self.endpoint.model!r}:"
                f" {_reason(error)}"
            ) from error


class _StreamedAnswer:
    """Collects an answer that arrives in chunks."""

    def __init__(self) -> None:
        self._text = ""
        self._finish_reason: str | None = None
        self._usage: Any = None

    def add(self, chunk: Any) -> str:
        """Add a chunk; return its piece of text, which may be empty."""
        self._usage = chunk.usage or self._usage
        piece = ""
        for choice in chunk.choices[:1]:
            self._finish_reason = choice.finish_reason or self._finish_reason
            piece = _encodable(choice.delta.content or "")
        self._text += piece
        return piece

    def answer(self) -> Answer:
        """Return the complete answer; without a finish reason, an empty one with an error."""
        if self._finish_reason is None:
            return failed("the answer ended without a finish_reason")
        return _answer(self._text, self._finish_reason, self._usage)


def _answer_of(completion: Any) -> Answer:
    """Read the answer of a completion; some servers omit fields that the protocol requires."""
    if not completion.choices:
        return failed("the server's reply contains no choice")
    choice = completion.choices[0]
    return _answer(choice.message.content or "", choice.finish_reason or "stop", completion.usage)


def _answer(text: object, reason: object, usage: Any) -> Answer:
    if not isinstance(text, str) or not isinstance(reason, str):
        raise TypeError("its content or finish_reason is not a string")
    if reason in CUT_OFF:
        return failed(f"the server broke off the answer (finish_reason {reason!r})")
    return Answer(
        text=_encodable(text),
        tokens=_count(usage.completion_tokens) if usage else 0,
        prompt_tokens=_count(usage.prompt_tokens) if usage else 0,
        finish_reason=_encodable(reason),
    )


def _count(tokens: object) -> int:
    """Return a number of tokens; 0 if the server sends anything else."""
    return tokens if isinstance(tokens, int) and tokens > 0 else 0


def _encodable(text: str) -> str:
    """Replace unpaired surrogates, which JSON may contain but no file can store."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _reason(error: Exception) -> str:
    """Return the reason of an error as one line of at most 300 characters."""
    return first_line(error)[:300]
