from __future__ import annotations

import pytest

from llmops.errors import UsageError
from llmops.serve.deployment.origins import LOOPBACK, read


def test_origins_are_read_as_browsers_send_them() -> None:
    given = ["https://Chat.Example.org, http://localhost:3000", "app://notes", "app://notes"]
    assert read(given) == ("https://chat.example.org", "http://localhost:3000", "app://notes")
    assert read([]) == ()


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("*", "name the pages"),
        ("https://*.example.org", "not an origin"),
        ("null", "not an origin"),
        ("", "not an origin"),
        ("https://a.org,", "not an origin"),
        ("chat.example.org", "not an origin"),
        ("https://a.org/", "did you mean https://a.org?"),
        ("https://a.org/chat?x=1", "did you mean https://a.org?"),
        ("https://user@a.org", "not an origin"),
    ],
)
def test_what_is_no_origin_is_refused(text: str, hint: str) -> None:
    with pytest.raises(UsageError, match="not an origin; allowed: SCHEME://HOST") as refused:
        read([text])
    assert hint in refused.value.message


@pytest.mark.parametrize(
    ("origin", "own"),
    [
        ("http://localhost", True),
        ("http://localhost:3000", True),
        ("https://app.localhost:8443", True),
        ("http://127.0.0.1:5173", True),
        ("http://[::1]:3000", True),
        ("http://localhost.example.org", False),
        ("http://127.0.0.1.example.org", False),
        ("http://evil-localhost", False),
        ("http://localhost:3000/", False),
        ("http://localhost@evil.org", False),
        ("http://192.168.1.2", False),
        ("https://evil.org", False),
        ("null", False),
    ],
)
def test_pages_of_this_machine(origin: str, own: bool) -> None:
    assert bool(LOOPBACK.fullmatch(origin)) is own
