"""Which server gets the user's API key.

A recipe names the server, and may come from somebody else. So the key goes only to hosts that the
user's environment names, and never unencrypted to another machine.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from llmops.engine.openai.endpoint import Endpoint
from llmops.errors import UsageError
from llmops.records.urls import KEY

HOSTS = "LLMOPS_KEY_HOSTS"
"""Environment variable: the hosts that may get the key, separated by commas."""
DEFAULT_HOSTS = "api.openai.com"
NO_KEY = "none"
"""The key for servers without one; the client requires a key."""
HEADERS = (
    "accept",
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "host",
    "user-agent",
)
"""Headers of a request that say nothing of the user."""


class Credential(NamedTuple):
    """The key to send to a server, and why that is not the user's key.

    Attributes:
        key: The key; ``NO_KEY`` if there is none to send.
        withheld: Why the user's key is not sent; empty if it is, or if there is none.
        remedy: What to do if the server needs a key.
    """

    key: str
    withheld: str = ""
    remedy: str = f"set {KEY}"


def credential_for(endpoint: Endpoint, key: str | None = None) -> Credential:
    """Return the key to send to a server.

    Args:
        endpoint: The server; one on this machine may always have the key.
        key: A key that the caller means for this server; by default that of ``OPENAI_API_KEY``,
            which only the hosts in ``LLMOPS_KEY_HOSTS`` may have.

    Raises:
        UsageError: The key contains characters that an HTTP header cannot carry.
    """
    chosen = key or os.environ.get(KEY)
    if not chosen:
        return Credential(NO_KEY)
    if not (chosen.isascii() and chosen.isprintable()):
        raise UsageError(
            f"{KEY}: contains a line break or another character that no HTTP header may contain"
        )
    if endpoint.is_loopback:
        return Credential(chosen)
    if not endpoint.is_encrypted:
        reason = f"{KEY} is not sent to {endpoint.host}: http:// would show it to the network"
        return Credential(NO_KEY, reason, "use an https:// URL")
    if key is None and endpoint.host not in _hosts():
        reason = f"{KEY} is not sent to {endpoint.host}: {HOSTS} does not name this host"
        remedy = f"export {HOSTS}={','.join([*_hosts(), endpoint.host])}  (if it may have your key)"
        return Credential(NO_KEY, reason, remedy)
    return Credential(chosen)


def anonymous(request: Any) -> None:
    """Remove from a request whatever may identify the user.

    The client reads the user's organization, project and own headers from the environment, and
    sends them to any server.

    Args:
        request: A request of the HTTP client, which calls this before it sends it.
    """
    for name in list(request.headers):
        if name.lower() not in HEADERS:
            del request.headers[name]
    request.headers["Authorization"] = f"Bearer {NO_KEY}"


def _hosts() -> list[str]:
    """Return the hosts that may get the key, in lower case."""
    named = os.environ.get(HOSTS, DEFAULT_HOSTS).split(",")
    return [host.strip().strip("[]").lower() for host in named if host.strip()]
