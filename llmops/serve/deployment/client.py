"""Client of a deployment: OpenAI's own, over HTTP.

Neither ``openai`` nor ``httpx`` is imported before the first request: MLflow's plugin imports this
module when MLflow starts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, overload

from llmops.errors import ServeError, UsageError
from llmops.records import Answer, Deployment, Sampling
from llmops.serve.deployment import tls

if TYPE_CHECKING:
    from openai import APIStatusError, OpenAI

KEY_VARIABLE = "LLMOPS_API_KEY"
"""Environment variable with the key of server and client."""
SET_KEY = f"export {KEY_VARIABLE}=KEY, with a key from `llmops keys add NAME`"
ANSWER_SECONDS = 600.0
"""Seconds to wait for an answer."""
READY_SECONDS = 1.0
"""Seconds to wait for a health check."""
NO_KEY = "none"
"""Key sent if there is none: the client requires one, a server without a key ignores it."""


@overload
def ask(
    deployment: Deployment,
    messages: Sequence[Mapping[str, str]],
    sampling: Sampling = ...,
    stream: Literal[False] = ...,
    key: str | None = ...,
) -> Answer: ...
@overload
def ask(
    deployment: Deployment,
    messages: Sequence[Mapping[str, str]],
    sampling: Sampling,
    stream: Literal[True],
    key: str | None = ...,
) -> Iterator[str | Answer]: ...
def ask(
    deployment: Deployment,
    messages: Sequence[Mapping[str, str]],
    sampling: Sampling = Sampling(),  # noqa: B008 - frozen
    stream: bool = False,
    key: str | None = None,
) -> Answer | Iterator[str | Answer]:
    """Ask a deployment to answer a conversation.

    Args:
        deployment: The deployment, from ``create`` or ``get``.
        messages: The conversation, each message with ``role`` and ``content``.
        sampling: Answer length, temperature, seed, stop strings.
        stream: Whether the answer is streamed.
        key: The key to send; by default that of ``LLMOPS_API_KEY``.

    Returns:
        The answer; with ``stream``, an iterator of pieces of text that ends with the whole answer.

    Raises:
        ServeError: The deployment does not answer, or refuses the request. A stream raises while it
            is read.

    Example:
        from llmops.serve import ask, get

        answer = ask(get("bot"), [{"role": "user", "content": "Hello"}])
        print(answer.text)
    """
    body = _body(deployment, messages, sampling)
    if stream:
        return _stream(deployment, body, key)
    return _answer(chat(deployment, body, key=key))


def chat(
    deployment: Deployment, body: Mapping[str, object], *, key: str | None = None
) -> dict[str, Any]:
    """Post a body to ``/v1/chat/completions`` and return the response; see ``ask`` for the key.

    Raises:
        ServeError: The deployment does not answer, or refuses.
    """
    import httpx

    with _failures(deployment), _client(deployment, key) as client:
        response = client.post("/chat/completions", cast_to=httpx.Response, body=dict(body))
        completion: dict[str, Any] = response.json()
    return completion


def chunks(deployment: Deployment, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Post a body to ``/v1/chat/completions`` and yield the chunks of the answer as they arrive.

    Raises:
        ServeError: The deployment does not answer, refuses, or breaks off the answer.
    """
    wanted: Any = {"model": None, "messages": None, **body, "stream": True}
    with (
        _failures(deployment),
        _client(deployment) as client,
        client.chat.completions.create(
            model=wanted.pop("model"),
            messages=wanted.pop("messages"),
            stream=wanted.pop("stream"),
            extra_body=wanted,
        ) as streamed,
    ):
        for chunk in streamed:
            yield chunk.to_dict()


def is_ready(endpoint: str, certificate: str | None = None) -> bool:
    """Return whether ``/readyz`` of an endpoint succeeds within a second.

    Args:
        endpoint: Base URL.
        certificate: File with the endpoint's TLS certificate; ``None`` for plain HTTP.
    """
    import httpx

    try:
        url, options = f"{endpoint}/readyz", direct(certificate)
        return httpx.get(url, timeout=READY_SECONDS, **options).is_success
    except (httpx.HTTPError, httpx.InvalidURL, OSError):  # OSError: the certificate is gone
        return False


def direct(certificate: str | None = None) -> dict[str, Any]:
    """Return options of the HTTP client: no proxy to this machine, this certificate and no other.

    Raises:
        OSError: The certificate cannot be read.
    """
    return {"trust_env": False, "verify": certificate is not None and tls.trusting(certificate)}


def _body(
    deployment: Deployment, messages: Sequence[Mapping[str, str]], sampling: Sampling
) -> dict[str, Any]:
    return {
        "model": deployment.name,  # that of a version is refused once another one is served
        "messages": [dict(message) for message in messages],
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": sampling.seed,
        "stop": list(sampling.stop),
    }


def _stream(
    deployment: Deployment, body: dict[str, Any], key: str | None
) -> Iterator[str | Answer]:
    text, reason, usage = "", None, None
    wanted: Any = {**body, "stream": True, "stream_options": {"include_usage": True}}
    with (
        _failures(deployment),
        _client(deployment, key) as client,
        client.chat.completions.create(**wanted) as chunks,
    ):
        for chunk in chunks:
            usage = chunk.usage or usage
            for choice in chunk.choices:
                reason = choice.finish_reason or reason
                if piece := choice.delta.content:
                    text += piece
                    yield piece
    if reason is None or usage is None:
        raise ServeError(
            f"deployment {deployment.name}: the stream ended before the answer was complete",
            next_command=f"less {deployment.log}",
        )
    yield Answer(text, usage.completion_tokens, usage.prompt_tokens, reason)


def _answer(completion: Mapping[str, Any]) -> Answer:
    choice, usage = completion["choices"][0], completion["usage"]
    return Answer(
        text=choice["message"]["content"],
        tokens=usage["completion_tokens"],
        prompt_tokens=usage["prompt_tokens"],
        finish_reason=choice["finish_reason"],
    )


def _client(deployment: Deployment, key: str | None = None) -> OpenAI:
    from openai import DefaultHttpxClient, OpenAI

    return OpenAI(
        base_url=f"{deployment.endpoint}/v1",
        api_key=key or os.environ.get(KEY_VARIABLE) or NO_KEY,
        timeout=ANSWER_SECONDS,
        max_retries=0,
        http_client=DefaultHttpxClient(**direct(deployment.certificate)),
    )


@contextmanager
def _failures(deployment: Deployment) -> Iterator[None]:
    """Raise the client's errors within the block as ``ServeError``."""
    import httpx
    from openai import APIConnectionError, APIError, APIStatusError

    name = f"deployment {deployment.name}"
    try:
        yield
    except APIStatusError as error:
        raise ServeError(
            f"{name}: refused with {error.status_code}: {_reason(error)}{_hint(error)}",
            next_command=SET_KEY if error.status_code == 401 else None,
        ) from error
    except (APIConnectionError, httpx.HTTPError) as error:
        raise ServeError(
            f"{name}: {deployment.endpoint} does not answer ({error.__cause__ or error})",
            next_command=f"mlflow deployments get -t llmops --name {deployment.name}",
        ) from error
    except APIError as error:  # an error event of the stream
        raise ServeError(f"{name}: {error.message}") from error
    except OSError as error:
        raise ServeError(
            f"{name}: its certificate {deployment.certificate} cannot be read: {error.strerror or error}"
        ) from error
    except UnicodeEncodeError as error:
        raise UsageError(
            f"{KEY_VARIABLE}: no HTTP header carries the key ({error.reason})"
        ) from error


def _hint(error: APIStatusError) -> str:
    missing = error.status_code == 401 and not os.environ.get(KEY_VARIABLE)
    return f" ({KEY_VARIABLE} is not set)" if missing else ""


def _reason(error: APIStatusError) -> str:
    message = error.body.get("message") if isinstance(error.body, Mapping) else None
    return str(message or error.response.reason_phrase)
