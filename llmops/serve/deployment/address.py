"""The address of a deployment: its listening socket and its URL."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

from llmops.errors import ServeError, UsageError

LOOPBACK = "127.0.0.1"
MAX_PORT = 65535


def listen(host: str, port: int, *, keyed: bool = False) -> socket.socket:
    """Return a listening socket, which reserves the port.

    Args:
        host: Name or address of this machine.
        port: Port; 0 picks a free one.
        keyed: Whether requests need a key.

    Raises:
        UsageError: The host is not an address or the port is out of range; or other machines can
            reach the host and no key is set.
        ServeError: The port is in use, or not permitted.
    """
    if not 0 <= port <= MAX_PORT:
        raise UsageError(f"port {port}: must be between 0 (picks a free port) and {MAX_PORT}")
    family, address = _resolved(host, port)
    if not keyed and not _is_loopback(address):
        raise UsageError(
            f"host {host}: other machines can reach it, but no key is set",
            next_command="llmops keys add NAME (or set LLMOPS_API_KEY), or omit the host to listen on"
            f" {LOOPBACK}",
        )
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen()
    except OSError as error:
        listening.close()
        raise ServeError(
            f"{host}:{port}: cannot listen on this port ({error.strerror})",
            next_command="choose another port (0 picks a free one), or stop the process that uses it"
            f" (`ss -ltnp 'sport = :{port}'` shows it)",
        ) from error
    return listening


def reached_by_others(host: str) -> bool:
    """Return whether other machines can reach an address of this one.

    Raises:
        UsageError: The host is not an address.
    """
    return not _is_loopback(_resolved(host, 0)[1])


def endpoint(listening: socket.socket, scheme: str = "http") -> str:
    """Return the URL at which this machine reaches the socket, even if it listens on all addresses."""
    host, port = listening.getsockname()[:2]
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        address = ipaddress.ip_address(LOOPBACK if address.version == 4 else "::1")
    return (
        f"{scheme}://[{address}]:{port}" if address.version == 6 else f"{scheme}://{address}:{port}"
    )


def _is_loopback(address: tuple[Any, ...]) -> bool:
    return ipaddress.ip_address(address[0]).is_loopback


def _resolved(host: str, port: int) -> tuple[int, tuple[Any, ...]]:
    """Return family and socket address; IPv4 if the name has both, as clients try 127.0.0.1."""
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise UsageError(f"host {host!r}: not an address ({error})") from error
    family, *_, address = min(entries, key=lambda entry: entry[0] != socket.AF_INET)
    return family, address
