from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from llmops.engine.openai.errors import ApiError
from llmops.serve.gateway.doors.host import check_host, host_of, is_loopback


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:80", "127.0.0.1:8000", "[::1]:8000", "[::1]", "localhost."]
)
def test_names_of_this_machine_are_let_in(host: str) -> None:
    check_host(Headers({"host": host}), "127.0.0.1")


@pytest.mark.parametrize(
    ("own", "host"), [("127.0.0.2", "127.0.0.2:80"), ("::1", "[::1]:80"), ("Desk", "desk")]
)
def test_the_configured_address_is_let_in(own: str, host: str) -> None:
    check_host(Headers({"host": host}), own)


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil", "", "[::2]", "x" * 9000]
)
def test_other_names_are_refused(host: str) -> None:
    with pytest.raises(ApiError) as caught:
        check_host(Headers({"host": host}), "127.0.0.1")
    assert caught.value.status == 421
    assert len(caught.value.message) < 400


def test_a_request_without_a_host_is_refused() -> None:
    with pytest.raises(ApiError):
        check_host(Headers({}), "127.0.0.1")


def test_the_port_is_no_part_of_a_host() -> None:
    assert host_of(" Desk:80 ") == "desk"
    assert host_of("[::1]:80") == "[::1]"


def test_loopback() -> None:
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "127.9.9.9", "::1")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.1", "desk.example")))
