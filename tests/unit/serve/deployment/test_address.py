"""Where a deployment listens, and where this machine reaches it."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest

from llmops.errors import ServeError, UsageError
from llmops.serve.deployment import address


def test_a_port_in_use_is_refused_with_the_command_that_shows_its_owner() -> None:
    with closing(address.listen("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(ServeError, match=f"127.0.0.1:{port}: cannot listen") as caught:
            address.listen("127.0.0.1", port)
    assert f"sport = :{port}" in str(caught.value.next_command)
    address.listen("127.0.0.1", port).close()


def test_what_is_not_an_address_is_refused() -> None:
    for port in (-1, 65536):
        with pytest.raises(UsageError, match="must be between 0"):
            address.listen("127.0.0.1", port)
    with pytest.raises(UsageError, match="host 'no such host': not an address"):
        address.listen("no such host", 0)


def test_others_reach_it_only_with_a_key() -> None:
    with pytest.raises(UsageError, match=r"llmops keys add NAME \(or set LLMOPS_API_KEY\)"):
        address.listen("0.0.0.0", 0)
    with closing(address.listen("0.0.0.0", 0, keyed=True)) as listening:
        assert address.endpoint(listening).startswith("http://127.0.0.1:")
        assert address.endpoint(listening, "https").startswith("https://127.0.0.1:")


@pytest.mark.parametrize(
    ("host", "reached"),
    [("127.0.0.1", False), ("localhost", False), ("127.9.9.9", False), ("0.0.0.0", True)],
)
def test_who_reaches_an_address(host: str, reached: bool) -> None:
    assert address.reached_by_others(host) is reached


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_localhost_is_ipv4_and_ipv6_is_possible() -> None:
    with closing(address.listen("localhost", 0)) as listening:
        assert listening.family == socket.AF_INET
    try:
        listening = address.listen("::1", 0)
    except ServeError:
        pytest.skip("IPv6 is switched off")
    with closing(listening):
        assert address.endpoint(listening).startswith("http://[::1]:")
