"""`llmops keys` as a user meets it."""

from __future__ import annotations

import json
import time

import pytest
from command_line import Command

from llmops.serve.auth import header, store


def test_a_key_is_printed_once_listed_and_revoked(llmops: Command) -> None:
    added = llmops("keys", "add", "ci", "--requests-per-minute", "60")
    assert added.returncode == 0, added.stderr
    key = added.stdout.strip()
    assert "only time that the key is shown" in added.stderr
    (kept,) = store.list_keys()
    assert (kept.hash, kept.requests_per_minute) == (header.digest(key), 60)
    store.record_use({"ci": time.time()})
    listed = llmops("keys", "ls").stdout
    head, row = listed.splitlines()
    assert head.split() == ["name", "created", "last", "used", "requests/min", "tokens/min"]
    assert row.split()[0] == "ci"
    assert row.split()[-2:] == ["60", "-"]
    assert row.count("UTC") == 2
    assert key not in listed
    revoked = json.loads(llmops("keys", "revoke", "ci", "--output", "json").stdout)
    assert revoked == {"schema_version": 1, "name": "ci", "revoked": True}
    assert "revoked 20" in llmops("keys", "ls").stdout


def test_as_json(llmops: Command) -> None:
    added = json.loads(
        llmops("keys", "add", "ci", "--tokens-per-minute", "9", "--output", "json").stdout
    )
    assert added["key"].startswith("llmops_")
    assert (added["name"], added["tokens_per_minute"], added["requests_per_minute"]) == (
        "ci",
        9,
        None,
    )
    (listed,) = json.loads(llmops("keys", "ls", "--output", "json").stdout)["keys"]
    assert (listed["name"], listed["revoked"], listed["last_used"]) == ("ci", None, None)
    assert "hash" not in listed
    assert "key" not in listed


def test_without_any(llmops: Command) -> None:
    assert "Next: llmops keys add NAME" in llmops("keys", "ls").stdout
    assert json.loads(llmops("keys", "ls", "--output", "json").stdout)["keys"] == []


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["add"], "NAME"),
        (["add", "a b"], "key name 'a b'"),
        (["add", "ci", "--requests-per-minute", "0"], "0"),
        (["revoke", "ci"], "no valid key has this name"),
    ],
)
def test_mistakes_are_usage_errors(llmops: Command, arguments: list[str], complaint: str) -> None:
    done = llmops("keys", *arguments)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
