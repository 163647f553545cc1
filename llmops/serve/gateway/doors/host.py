"""The header ``Host`` of a deployment without a key, which only this machine may reach.

A page of another machine can make its own name resolve to 127.0.0.1; its requests then come from
this machine's browser without being foreign to it, but they name the page's host.
"""

from __future__ import annotations

import ipaddress

from starlette.datastructures import Headers

from llmops.engine.openai.errors import ApiError

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})


def check_host(headers: Headers, own: str) -> None:
    """Refuse a request to another host's name.

    Args:
        headers: Headers of the request.
        own: Address at which the deployment listens.

    Raises:
        ApiError: The host is neither this machine nor the configured address (421).
    """
    given = headers.get("host", "")
    name = host_of(given)
    if name in LOOPBACK or name == own.lower().strip("[]") or name == f"[{own.lower()}]":
        return
    raise ApiError(
        421,
        f"Host {given[:200]!a}: this deployment has no key, so it answers to"
        f" {', '.join(sorted(LOOPBACK | {own}))} only",
        code="wrong_host",
    )


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address to listen on."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_of(given: str) -> str:
    """Return the host of a header ``Host`` without its port, in small letters."""
    given = given.strip().lower()
    if given.startswith("["):
        return given.partition("]")[0] + "]"
    return given.partition(":")[0].removesuffix(".")
