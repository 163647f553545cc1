from __future__ import annotations

import pytest

from llmops.errors import UsageError
from llmops.serve.auth import header


def test_keys_that_every_client_can_send() -> None:
    for key in ("k", "llmops_-abc", "a" * 4096, "".join(map(chr, range(0x21, 0x7F)))):
        assert header.check(key) == key


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("zq9 ", "begins or ends with a blank or a line break"),
        ("\tzq9", "begins or ends"),
        ("zq9\n", "begins or ends"),
        ("\xa0zq9", "begins or ends"),
        ("z\nq9", "contains a blank, a line break or a character beyond ASCII"),
        ("z q9", "contains a blank"),
        ("zq9\0", "contains a blank"),
        ("zq9-schlüssel", "beyond ASCII"),
        ("zq9-ключ", "beyond ASCII"),
        ("\ud800zq9", "beyond ASCII"),
        ("zq9" * 2000, "has 6,000 characters; allowed: 4,096"),
        ("   ", "begins or ends"),
    ],
)
def test_keys_that_no_header_carries_unchanged(key: str, says: str) -> None:
    with pytest.raises(UsageError, match=f"LLMOPS_API_KEY: the key .*{says}") as refused:
        header.check(key)
    assert "q9" not in str(refused.value), "a key is not shown"
    assert "secrets.token_urlsafe" in str(refused.value.next_command)


def test_only_a_digest_is_kept() -> None:
    assert header.digest("a") == "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    assert header.digest("\ud800") != header.digest("\ud801"), "whatever a client sends"


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("Bearer k", "k"),
        ("bearer   k ", "k"),
        ("BEARER k", "k"),
        ("Bearer", None),
        ("Bearer ", None),
        ("Basic k", None),
        ("k", None),
        ("", None),
        (None, None),
    ],
)
def test_the_key_of_a_header(value: str | None, key: str | None) -> None:
    assert header.bearer(value) == key
