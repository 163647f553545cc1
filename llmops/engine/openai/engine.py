"""Any server of the OpenAI chat protocol as an engine: many requests at once, none lost."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Sequence
from contextlib import closing

from llmops.engine.chat_format import Messages
from llmops.engine.openai.client import ChatClient
from llmops.engine.openai.endpoint import Endpoint, parse_endpoint
from llmops.engine.openai.parallel import concurrently
from llmops.engine.protocol import Capabilities, Engine
from llmops.engine.requests import Key, Request, Turn, check_requests
from llmops.errors import ServeError, UsageError
from llmops.records import Answer, Likelihood, LoadOptions, RemoteModel, Side

KEY = "OPENAI_API_KEY"
NO_KEY = "none"
"""The client insists on a key; a server without one ignores it."""
DEFAULTS = LoadOptions()


class HttpEngine(Engine):
    """Asks a model over HTTP.

    Args:
        endpoint: Where it is; requests name a ``RemoteModel`` with this URL and model.
        key: Sent as a bearer token; by default ``OPENAI_API_KEY``. It is never shown.
        concurrency: Requests at once.
        timeout: Seconds for one attempt.
        retries: Further attempts for one prompt, with pauses that grow to 8 s.

    Attributes:
        endpoint: See above.

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
        self.endpoint, self._concurrency = endpoint, concurrency
        key = key or os.environ.get(KEY) or NO_KEY
        if not (key.isascii() and key.isprintable()):
            raise UsageError(f"{KEY}: holds a line break, or characters that no header may hold")
        self._client = ChatClient(
            endpoint, key=key, timeout=timeout, retries=retries, key_help=f"set {KEY}"
        )
        self._closed = False

    @property
    def capabilities(self) -> Capabilities:
        """See ``Engine``."""
        return Capabilities(likelihood=False, stream=True, completion=False)

    def answer(
        self, requests: Sequence[Request], *, batch_size: int | None = None
    ) -> Generator[tuple[Key, Answer]]:
        """Answer requests; see ``Engine``.

        Args:
            requests: All to this model; without a ``max_tokens`` the server decides the length.
            batch_size: Requests under way at most, if fewer than ``concurrency``.

        Raises:
            UsageError: See ``Engine``; or the server knows no such model, or refuses the key.
            ServeError: A conversation was not answered, and then a greeting was not either.
        """
        check_requests(requests)
        self._check(requests)
        workers = min(self._concurrency, batch_size or self._concurrency)
        return self._answers(requests, workers)

    def stream(self, request: Request) -> Generator[str | Answer]:
        """Yield pieces of text, then the answer; see ``Engine``.

        Raises:
            ServeError: The server does not answer, or breaks the answer off.
        """
        check_requests([request])
        self._check([request])
        yield from self._client.stream(chat_of(request), request.sampling)

    def likelihood(self, turns: Sequence[Turn]) -> Generator[tuple[Key, Likelihood | None]]:
        """Refuse: the protocol has no likelihood of a given answer."""
        raise UsageError(
            f"{self.endpoint.uri}: gives answers, not the likelihood of one",
            next_command="load the version itself: the engine `local` computes likelihoods",
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
            raise UsageError("the engine is closed: open another one")
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
            f"{request.side.uri}: is asked for answers to messages, not to continue a text"
        )
    return request.messages


def server_gone(endpoint: Endpoint, reason: str) -> ServeError:
    """Return the error for a server that answers nothing any more."""
    return ServeError(
        f"{endpoint.url}: the server answers nothing, not even a greeting: {reason}",
        next_command="fix the server and run this again: answers that came are kept",
    )


def open_remote(sides: Sequence[Side], *, options: LoadOptions = DEFAULTS) -> HttpEngine:
    """Connect to the one model behind a URL that the sides name.

    Args:
        sides: All the same model.
        options: Without effect: the server has loaded the model already.

    Raises:
        UsageError: They name several, or a version whose files are here.
    """
    endpoints = {parse_endpoint(side.uri) for side in sides}
    if len(endpoints) != 1:
        names = ", ".join(sorted(side.uri for side in sides))
        raise UsageError(f"one connection asks one model, not {names}")
    (endpoint,) = endpoints
    return HttpEngine(endpoint)
