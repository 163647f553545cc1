"""Read ``openai:URL#MODEL``, the name of a model behind a URL."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from llmops.errors import UsageError
from llmops.files import digest
from llmops.records import RemoteModel
from llmops.records.urls import check_no_credentials

PREFIX = "openai:"
REFERENCE = re.compile(r"openai:(?P<url>https?://[^\s#]+)#(?P<model>\S+)")


@dataclass(frozen=True)
class Endpoint:
    """A model behind a URL.

    Attributes:
        url: Base URL of the API, such as ``http://127.0.0.1:8000/v1``.
        model: Name of the model in requests.
    """

    url: str
    model: str

    @property
    def uri(self) -> str:
        """The model as ``openai:URL#MODEL``."""
        return f"{PREFIX}{self.url}#{self.model}"

    @property
    def host(self) -> str:
        """Host of the URL in lower case, without port."""
        return urlsplit(self.url).hostname or ""

    @property
    def is_loopback(self) -> bool:
        """Whether the URL names this machine itself."""
        try:
            return self.host == "localhost" or ip_address(self.host).is_loopback
        except ValueError:  # a host name
            return False

    @property
    def is_encrypted(self) -> bool:
        """Whether requests travel over TLS."""
        return urlsplit(self.url).scheme == "https"


def parse_endpoint(text: str) -> Endpoint:
    """Read ``openai:URL#MODEL``.

    Raises:
        UsageError: The text has another form, or its URL is invalid or contains credentials.
    """
    check_no_credentials(text)
    match = REFERENCE.fullmatch(text)
    problem = _problem_with(match["url"]) if match else ""
    if match is None or problem:
        raise UsageError(
            f"{text!r}: {problem or 'expected openai:URL#MODEL'}",
            next_command="write it like openai:http://127.0.0.1:8000/v1#bot",
        )
    return Endpoint(match["url"].rstrip("/"), match["model"])


def remote_model(uri: str) -> RemoteModel:
    """Return the side that ``openai:URL#MODEL`` names.

    Raises:
        UsageError: The URI has another form, or its URL is invalid.
    """
    return RemoteModel(
        label=parse_endpoint(uri).model, uri=uri, digest=digest.of_bytes(uri.encode())
    )


def _problem_with(url: str) -> str:
    """Return why no request can be sent to a URL; an empty string if one can."""
    import httpx

    try:
        parts = urlsplit(url)
        if not parts.hostname or parts.port == 0:
            return "the URL has no host, or port 0"
        if parts.query:
            return "the URL has a query, which no request would carry"
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL) as error:
        return f"invalid URL ({error})"
    return ""
