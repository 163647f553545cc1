"""Any server of the OpenAI chat protocol as an engine: many requests at once, none lost.

The official client retries what may pass (connection, timeout, 408, 409, 429, 5xx) with growing
pauses, or when the server says so. What fails for good becomes an answer that says why.
"""

from __future__ import annotations

import os
import re
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from llmops.engine.requests import failed
from llmops.errors import ServeError, UsageError
from llmops.records import Answer, Sampling

KEY = "OPENAI_API_KEY"
NO_KEY = "none"
"""The client insists on a key; a server without one ignores it."""
CUT_OFF = frozenset({"abort", "error"})
"""Finish reasons of an answer that the server itself broke off."""
GREETING = ({"role": "user", "content": "Hello."},)
GREETING_TOKENS = 16
PREFIX = "openai:"
REFERENCE = re.compile(r"openai:(?P<url>https?://[^\s#]+)#(?P<model>\S+)")


@dataclass(frozen=True)
class Endpoint:
    """A model behind a URL.

    Attributes:
        url: Base URL of the API, such as ``http://127.0.0.1:8000/v1``.
        model: What requests call the model.
    """

    url: str
    model: str


def parse_endpoint(text: str) -> Endpoint:
    """Reads ``openai:URL#MODEL``.

    Raises:
        UsageError: It is something else.
    """
    found = REFERENCE.fullmatch(text)
    wrong = _wrong_with(found["url"]) if found else ""
    if found is None or wrong:
        raise UsageError(
            f"{text!r}: {wrong or 'expected openai:URL#MODEL'}",
            next_command="write it like openai:http://127.0.0.1:8000/v1#bot",
        )
    return Endpoint(found["url"].rstrip("/"), found["model"])


def _wrong_with(url: str) -> str:
    """Why nothing can be asked of a URL; empty if it can."""
    import httpx

    try:
        parts = urlsplit(url)
        if not parts.hostname or parts.port == 0:
            return "the URL has no host, or port 0"
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL) as error:
        return f"the URL cannot be read ({error})"
    return ""


class HttpEngine:
    """Asks a model over HTTP.

    Args:
        endpoint: Where it is.
        key: Sent as a bearer token; by default ``OPENAI_API_KEY``. It is never shown.
        concurrency: Requests at once.
        timeout: Seconds for one attempt.
        retries: Further attempts for one prompt, with pauses that grow to 8 s.

    Raises:
        UsageError: The key cannot be sent.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        key: str | None = None,
        concurrency: int = 8,
        timeout: float = 120.0,
        retries: int = 6,
    ) -> None:
        from openai import DefaultHttpxClient, OpenAI

        self._endpoint, self._concurrency = endpoint, concurrency
        key = key or os.environ.get(KEY) or NO_KEY
        if not (key.isascii() and key.isprintable()):
            raise UsageError(f"{KEY}: holds a line break, or characters that no header may hold")
        # A proxy of the environment does not reach this machine's own loopback.
        connections = DefaultHttpxClient(trust_env=not _is_loopback(endpoint.url))
        weakref.finalize(self, connections.close)
        self._client = OpenAI(
            base_url=endpoint.url,
            api_key=key,
            timeout=timeout,
            max_retries=retries,
            http_client=connections,
        )

    def generate(
        self,
        conversations: Sequence[Sequence[Mapping[str, str]]],
        sampling: Sampling,
        *,
        on_answer: Callable[[int, Answer], None] | None = None,
    ) -> list[Answer]:
        """Answers each conversation.

        Args:
            conversations: Messages with ``role`` and ``content``.
            sampling: Of all.
            on_answer: Called with the index and answer of each as it comes.

        Returns:
            Answers in the order of the conversations. One that could not be had is empty and has
            ``error`` set.

        Raises:
            UsageError: The server knows no such model, or refuses the key.
            ServeError: A conversation was not answered, and then a greeting was not either. The
                answers that came by then were given to ``on_answer``.
        """
        answers: dict[int, Answer] = {}
        gone: str | None = None
        pool = ThreadPoolExecutor(self._concurrency, thread_name_prefix="llmops-http")
        try:
            asked = {
                pool.submit(self._answer, conversation, sampling): i
                for i, conversation in enumerate(conversations)
            }
            for future in as_completed(asked):
                if future.cancelled():
                    continue
                i = asked[future]
                answers[i] = future.result()
                if on_answer is not None:
                    on_answer(i, answers[i])
                if answers[i].error is not None and gone is None:
                    gone = self._gone(sampling)
                    if gone is not None:  # those under way go on: their answers are kept
                        for other in asked:
                            other.cancel()
        finally:  # whoever interrupts, or is refused for good, does not wait for the others
            pool.shutdown(wait=False, cancel_futures=True)
        if gone is not None:
            raise ServeError(
                f"{self._endpoint.url}: the server answers nothing, not even a greeting: {gone}",
                next_command="mend the server and run this again: answers that came are kept",
            )
        return [answers[i] for i in range(len(conversations))]

    def _gone(self, sampling: Sampling) -> str | None:
        """After a prompt that failed: why the server answers nothing at all, ``None`` if it does.

        A side must not lose because its server ended, its quota did, or a proxy shows a page. Whether
        the prompt was to blame, only another that nothing is wrong with can tell.
        """
        limit = min(sampling.max_tokens or GREETING_TOKENS, GREETING_TOKENS)
        short = replace(sampling, max_tokens=limit)
        return self._answer(GREETING, short).error

    def _answer(self, conversation: Sequence[Mapping[str, str]], sampling: Sampling) -> Answer:
        import openai

        begun = time.monotonic()
        try:
            answer = _read(self._ask(conversation, sampling))
            return replace(answer, seconds=round(time.monotonic() - begun, 4))
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            raise UsageError(
                f"{self._endpoint.url}: refuses the key ({error.status_code})",
                next_command=f"set {KEY}",
            ) from error
        except openai.NotFoundError as error:
            raise UsageError(
                f"{self._endpoint.url}: knows no model {self._endpoint.model!r}: {_said(error)}"
            ) from error
        except openai.OpenAIError as error:
            return failed(_said(error))
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            return failed(f"the server's reply is no chat completion: {_said(error)}")

    def _ask(self, conversation: Sequence[Mapping[str, str]], sampling: Sampling) -> Any:
        request: dict[str, Any] = {
            "model": self._endpoint.model,
            "messages": [dict(message) for message in conversation],
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
            "stop": list(sampling.stop) or None,
        }
        given = {name: value for name, value in request.items() if value is not None}
        return self._client.chat.completions.create(**given)


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:  # a name
        return False


def _read(completion: Any) -> Answer:
    """An answer; servers leave out what the protocol demands."""
    if not completion.choices:
        return failed("the server's reply holds no choice")
    choice, usage = completion.choices[0], completion.usage
    text, reason = choice.message.content or "", choice.finish_reason or "stop"
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
    """A number of tokens; 0 where the server says something else."""
    return tokens if isinstance(tokens, int) and tokens > 0 else 0


def _encodable(text: str) -> str:
    """Text without halves of surrogate pairs, which JSON may hold and no file or store takes."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _said(error: Exception) -> str:
    """What went wrong, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
