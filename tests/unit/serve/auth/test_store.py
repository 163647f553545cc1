from __future__ import annotations

import time

import pytest

from llmops.errors import NotFoundError, UsageError
from llmops.serve.auth import header, store
from llmops.serve.deployment.record import database


def test_a_key_is_shown_once_and_kept_as_a_hash() -> None:
    key = store.add("ci", requests_per_minute=60, tokens_per_minute=1000)
    assert key.startswith("llmops_")
    assert len(key) == len("llmops_") + 43, "32 random bytes"
    assert header.check(key) == key
    (kept,) = store.list_keys()
    assert (kept.name, kept.hash) == ("ci", header.digest(key))
    assert (kept.requests_per_minute, kept.tokens_per_minute) == (60, 1000)
    assert (kept.revoked, kept.last_used) == (None, None)
    assert time.time() - kept.created < 60
    files = database.path().parent.glob("state.db*")
    assert not any(key.encode() in file.read_bytes() for file in files)


def test_no_two_keys_are_alike_or_share_a_name() -> None:
    assert store.add("a") != store.add("b")
    with pytest.raises(UsageError, match=r"key 'a': exists already(.|\n)*keys revoke a"):
        store.add("a")
    assert [key.name for key in store.list_keys()] == ["a", "b"]


def test_a_revoked_name_can_be_used_again_with_another_key() -> None:
    first = store.add("ci", requests_per_minute=1)
    store.revoke("ci")
    (revoked,) = store.list_keys()
    assert revoked.revoked is not None
    with pytest.raises(NotFoundError, match=r"no valid key has this name(.|\n)*llmops keys ls"):
        store.revoke("ci")
    assert store.add("ci") != first
    (again,) = store.list_keys()
    assert (again.revoked, again.requests_per_minute) == (None, None)


def test_a_revoked_key_does_not_open_what_a_key_closed() -> None:
    assert not store.any_key()
    store.add("ci")
    assert store.any_key()
    store.revoke("ci")
    assert store.any_key()


def test_the_last_use_is_recorded() -> None:
    store.add("ci")
    store.record_use({"ci": 12.5, "gone": 1.0})
    assert [key.last_used for key in store.list_keys()] == [12.5]


@pytest.mark.parametrize("name", ["", "a b", "../a", "-a", "a\n", "x" * 129])
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="key name"):
        store.add(name)


@pytest.mark.parametrize("limit", ["requests_per_minute", "tokens_per_minute"])
def test_limits_begin_at_one(limit: str) -> None:
    with pytest.raises(UsageError, match=f"{limit} 0: must be at least 1"):
        store.add("ci", **{limit: 0})
    assert store.list_keys() == []
