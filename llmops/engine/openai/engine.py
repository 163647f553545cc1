"""An engine for any server of the OpenAI chat protocol; it sends requests in parallel."""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from contextlib import closing

from llmops.engine.chat_format import Messages
from llmops.engine.openai.client import ChatClient
from llmops.engine.openai.credentials import credential_for
from llmops.engine.openai.endpoint import Endpoint, parse_endpoint
from llmops.engine.openai.parallel import concurrently
from llmops.engine.protocol import Capabilities, Engine
from llmops.engine.requests import Key, Request, Turn, check_requests
from llmops.errors import ServeError, UsageError
from llmops.progress import say
from llmops.records import Answer, Likelihood, LoadOptions, RemoteModel, Side

DEFAULTS = LoadOptions()


class HttpEngine(Engine):
    """An engine that sends its requests to one model over HTTP.

    Args:
        endpoint: The model's URL and name; the side of every request must be its ``RemoteModel``.
        key: API key, by default that of ``OPENAI_API_KEY`` if the host may have it (see
            ``credentials``); sent as a bearer token, never shown.
        concurrency: Maximum number of requests in flight.
        timeout: Seconds for one attempt.
        retries: Number of retries for one prompt, with pauses that grow to 8 s.

    Attributes:
        endpoint: The model's URL and name.

    Raises:
        UsageError: The key contains characters that an HTTP header cannot carry.
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
        self.endpoint, self._concurrency = endpoint, concurrency
        credential = credential_for(endpoint, key)
        if credential.withheld:
            say(f"{credential.withheld}\n  If the server needs it: {credential.remedy}")
        self._client = ChatClient(
            endpoint,
            key=credential.key,
            timeout=timeout,
            retries=retries,
            key_help=credential.remedy,
        )
        self._closed = False

    @property
    def capabilities(self) -> Capabilities:
        """Streaming only; the context length is unknown. See ``Engine``."""
        return Capabilities(likelihood=False, stream=True, completion=False)

    def answer(
        self, requests: Sequence[Request], *, batch_size: int | None = None
    ) -> Generator[tuple[Key, Answer]]:
        """Answer requests; see ``Engine``.

        Args:
            requests: Requests to this model; without ``max_tokens`` the server chooses the length.
            batch_size: Maximum number of requests in flight, if below ``concurrency``.

        Raises:
            UsageError: See ``Engine``; or the server has no such model, or refuses the key.
            ServeError: A request failed, and the server did not answer the probe after it.
        """
        check_requests(requests)
        self._check(requests)
        workers = min(self._concurrency, batch_size or self._concurrency)
        return self._answers(requests, workers)

    def stream(self, request: Request) -> Generator[str | Answer]:
        """Yield pieces of text, then the answer; see ``Engine``.

        Raises:
            UsageError: See ``Engine``; or the server refuses the request or the key.
            ServeError: The server does not answer, or breaks off the answer.
        """
        check_requests([request])
        self._check([request])
        yield from self._client.stream(chat_of(request), request.sampling)

    def likelihood(self, turns: Sequence[Turn]) -> Generator[tuple[Key, Likelihood | None]]:
        """Refuse: the protocol cannot compute the likelihood of a given answer.

        Raises:
            UsageError: Always.
        """
        raise UsageError(
            f"{self.endpoint.uri}: a server gives answers, not the likelihood of one",
            next_command="compare the version itself with the engine `local`",
        )

    def close(self) -> None:
        """Close the connections."""
        self._closed = True
        self._client.close()

    def _answers(self, requests: Sequence[Request], workers: int) -> Generator[tuple[Key, Answer]]:
        enough, outage = threading.Event(), None
        samplings = {request.key: request.sampling for request in requests}
        with closing(concurrently(requests, self._ask, workers, enough=enough)) as answers:
            for key, answer in answers:
                yield key, answer
                if answer.error is not None and outage is None:
                    outage = self._client.outage(samplings[key])
                    if outage is not None:
                        enough.set()
        if outage is not None:
            raise server_gone(self.endpoint, outage)

    def _ask(self, request: Request) -> Answer:
        return self._client.answer(chat_of(request), request.sampling)

    def _check(self, requests: Sequence[Request]) -> None:
        if self._closed:
            raise UsageError("the engine is closed; open a new one")
        for side in {request.side for request in requests}:
            if not isinstance(side, RemoteModel) or parse_endpoint(side.uri) != self.endpoint:
                raise UsageError(f"{side.uri}: this engine asks {self.endpoint.uri} alone")
        for request in requests:
            chat_of(request)


def chat_of(request: Request) -> Messages:
    """Return the messages of a request.

    Raises:
        UsageError: It is a text to continue.
    """
    if isinstance(request.messages, str):
        raise UsageError(
            f"{request.side.uri}: a server is asked to answer messages, not to continue a text"
        )
    return request.messages


def server_gone(endpoint: Endpoint, reason: str) -> ServeError:
    """Return the error for a server that does not answer.

    Args:
        endpoint: The model's URL and name.
        reason: Why the probe failed.
    """
    return ServeError(
        f"{endpoint.url}: the server does not answer, not even a probe: {reason}",
        next_command="fix the server, then rerun; finished answers are kept",
    )


def open_remote(sides: Sequence[Side], *, options: LoadOptions = DEFAULTS) -> HttpEngine:
    """Connect to the model behind a URL that the sides name.

    Args:
        sides: Sides that all name the same model.
        options: Ignored, as the server has already loaded the model.

    Raises:
        UsageError: The sides name different models, or a version whose files are on this machine.
    """
    endpoints = {parse_endpoint(side.uri) for side in sides}
    if len(endpoints) != 1:
        names = ", ".join(sorted(side.uri for side in sides))
        raise UsageError(f"one connection serves one model; received {names}")
    (endpoint,) = endpoints
    return HttpEngine(endpoint)
