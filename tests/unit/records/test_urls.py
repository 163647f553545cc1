from __future__ import annotations

import pytest

from llmops.errors import UsageError
from llmops.records.urls import check_no_credentials, without_credentials


@pytest.mark.parametrize(
    "url",
    [
        "http://me:secret@h/v1",
        "https://secret@h/v1",
        "http://me:se/cret@h",
        "http://h/v1?api_key=secret",
        "HTTPS://ME:secret@H",
    ],
)
def test_credentials_are_refused_and_not_repeated(url: str) -> None:
    for text in (url, f"openai:{url}#m", f"judge:openai:{url}#m"):
        with pytest.raises(UsageError, match="must not contain credentials") as refused:
            check_no_credentials(text)
        assert "secret" not in str(refused.value)
        assert "OPENAI_API_KEY" in str(refused.value.next_command)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/v1#owner/m@x", "https://[::1]:1/v1", "bot"])
def test_other_addresses_are_left_alone(url: str) -> None:
    check_no_credentials(url)
    assert without_credentials(url) == url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:p@h:80/x?y#z", "https://h:80/x?y#z"),
        ("http://token@h", "http://h"),
        ("http://me:p@[::1", "http://***@[::1"),
    ],
)
def test_a_browser_gets_no_credentials(url: str, shown: str) -> None:
    assert without_credentials(url) == shown
