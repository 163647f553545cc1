"""One model behind the OpenAI chat protocol: a conversation goes out, an answer comes back.

The official client retries what may pass (connection, timeout, 408, 409, 429, 5xx) with growing
pauses, or when the server says so. What fails for good becomes an answer that says why.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Generator
from dataclasses import replace
from typing import Any

from llmops.engine.chat_format import Messages
from llmops.engine.openai.endpoint import Endpoint
from llmops.engine.requests import failed
from llmops.errors import ServeError, UsageError, first_line
from llmops.records import Answer, Sampling

CUT_OFF = frozenset({"abort", "error"})
"""Finish reasons of an answer that the server itself broke off."""
GREETING = ({"role": "user", "content": "Hello."},)
GREETING_TOKENS = 16
UNREADABLE = (AttributeError, LookupError, TypeError, ValueError)
"""What reading a reply of another shape ends in."""


class ChatClient:
    """Asks one model; threads may share it.

    Args:
        endpoint: Where the model is.
        key: Sent as a bearer token; never shown.
        timeout: Seconds for one attempt.
        retries: Further attempts for one prompt, with pauses that grow to 8 s.
        key_help: The user's next step where the key is refused.
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
        # A proxy of the environment does not reach this machine's own loopback.
        connections = DefaultHttpxClient(trust_env=not endpoint.is_loopback)
        self._close = weakref.finalize(self, connections.close)
        self._client = OpenAI(
            base_url=endpoint.url,
            api_key=key,
            timeout=timeout,
            max_retries=retries,
            http_client=connections,
        )

    def answer(self, messages: Messages, sampling: Sampling) -> Answer:
        """Answer a conversation; an answer that cannot be had is empty and has ``error`` set.

        Args:
            messages: With ``role`` and ``content``.
            sampling: A ``max_tokens`` of ``None`` leaves the length to the server.

        Raises:
            UsageError: The server knows no such model, or refuses the key.
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
            return failed(f"the server's reply is no chat completion: {_reason(error)}")

    def stream(self, messages: Messages, sampling: Sampling) -> Generator[str | Answer]:
        """Yield pieces of an answer as they come, then the answer.

        Raises:
            UsageError: The server refuses the request, the model or the key.
            ServeError: The server does not answer, or breaks the answer off.
        """
        import httpx
        import openai

        options = {"stream": True, "stream_options": {"include_usage": True}}
        reading = _Reading()
        try:
            with self._create(messages, sampling, **options) as chunks:
                for chunk in chunks:
                    if piece := reading.read(chunk):
                        yield piece
        except openai.OpenAIError as error:
            self._refuse_mistakes(error)
            refused = isinstance(error, (openai.BadRequestError, openai.UnprocessableEntityError))
            kind = UsageError if refused else ServeError
            raise kind(f"{self.endpoint.url}: {_reason(error)}") from error
        except (httpx.HTTPError, *UNREADABLE) as error:
            raise ServeError(
                f"{self.endpoint.url}: the answer broke off: {_reason(error)}"
            ) from error
        answer = reading.answer()
        if answer.error is not None:
            raise ServeError(f"{self.endpoint.url}: {answer.error}")
        yield answer

    def outage(self, sampling: Sampling) -> str | None:
        """After a prompt that failed, return why the server answers nothing; ``None`` if it does.

        A side must not lose because its server ended, its quota did, or a proxy shows a page. Only
        another prompt, with which nothing is wrong, can show whether the first was to blame.
        """
        limit = min(sampling.max_tokens or GREETING_TOKENS, GREETING_TOKENS)
        return self.answer(GREETING, replace(sampling, max_tokens=limit)).error

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
        """Raise what no other prompt would get past: a wrong key, a wrong model."""
        import openai

        if isinstance(error, (openai.AuthenticationError, openai.PermissionDeniedError)):
            raise UsageError(
                f"{self.endpoint.url}: refuses the key ({error.status_code})",
                next_command=self._key_help,
            ) from error
        if isinstance(error, openai.NotFoundError):
            raise UsageError(
                f"{self.endpoint.url}: knows no model {self.endpoint.model!r}: {_reason(error)}"
            ) from error


class _Reading:
    """An answer that arrives in chunks."""

    def __init__(self) -> None:
        self._text = ""
        self._finish_reason: str | None = None
        self._usage: Any = None

    def read(self, chunk: Any) -> str:
        """Take a chunk; return its piece of text, which may be empty."""
        self._usage = chunk.usage or self._usage
        piece = ""
        for choice in chunk.choices[:1]:
            self._finish_reason = choice.finish_reason or self._finish_reason
            piece = _encodable(choice.delta.content or "")
        self._text += piece
        return piece

    def answer(self) -> Answer:
        if self._finish_reason is None:
            return failed("the answer ended without a finish_reason")
        return _answer(self._text, self._finish_reason, self._usage)


def _answer_of(completion: Any) -> Answer:
    """Read an answer; servers leave out what the protocol demands."""
    if not completion.choices:
        return failed("the server's reply holds no choice")
    choice = completion.choices[0]
    return _answer(choice.message.content or "", choice.finish_reason or "stop", completion.usage)


def _answer(text: object, reason: object, usage: Any) -> Answer:
    if not isinstance(text, str) or not isinstance(reason, str):
        raise TypeError("its content or finish_reason is no text")
    if reason in CUT_OFF:
        return failed(f"the server broke the answer off (finish_reason {reason!r})")
    return Answer(
        text=_encodable(text),
        tokens=_count(usage.completion_tokens) if usage else 0,
        prompt_tokens=_count(usage.prompt_tokens) if usage else 0,
        finish_reason=_encodable(reason),
    )


def _count(tokens: object) -> int:
    """Return a number of tokens; 0 where the server says something else."""
    return tokens if isinstance(tokens, int) and tokens > 0 else 0


def _encodable(text: str) -> str:
    """Return text without halves of surrogate pairs, which JSON may hold and no file takes."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _reason(error: Exception) -> str:
    """Return what went wrong, in one line."""
    return first_line(error)[:300]
