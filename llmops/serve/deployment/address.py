"""The address of a deployment: its listening socket and its URL."""

from __future__ import annotations

import ipaddress
import os
import socket
from typing import Any

from llmops.errors import ServeError, UsageError
from llmops.serve.deployment import client

LOOPBACK = "127.0.0.1"
MAX_PORT = 65535


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket, which reserves the port.

    Args:
        host: Name or address of this machine.
        port: Port; 0 picks a free one.

    Raises:
        UsageError: The host is not an address or the port is out of range; or other machines can
            reach the host and no key is set.
        ServeError: The port is in use, or not permitted.
    """
    if not 0 <= port <= MAX_PORT:
        raise UsageError(f"port {port}: must be between 0 (picks a free port) and {MAX_PORT}")
    family, address = _resolved(host, port)
    if not ipaddress.ip_address(address[0]).is_loopback and not os.environ.get(client.KEY_VARIABLE):
        raise UsageError(
            f"host {host}: other machines can reach it, but no key is set",
            next_command=f"set {client.KEY_VARIABLE}, or omit the host to listen on {LOOPBACK}",
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


def endpoint(listening: socket.socket) -> str:
    """Return the URL at which this machine reaches the socket, even if it listens on all addresses."""
    host, port = listening.getsockname()[:2]
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        address = ipaddress.ip_address(LOOPBACK if address.version == 4 else "::1")
    return f"http://[{address}]:{port}" if address.version == 6 else f"http://{address}:{port}"


def _resolved(host: str, port: int) -> tuple[int, tuple[Any, ...]]:
    """Return family and socket address; IPv4 if the name has both, as clients try 127.0.0.1."""
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise UsageError(f"host {host!r}: not an address ({error})") from error
    family, *_, address = min(entries, key=lambda entry: entry[0] != socket.AF_INET)
    return family, address
