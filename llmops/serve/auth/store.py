"""Keys for the deployments of this machine; only their hashes are kept."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass

from llmops.errors import NotFoundError, UsageError
from llmops.records.names import MODEL_NAME
from llmops.serve.auth import header
from llmops.serve.deployment.record import database

PREFIX = "llmops_"
"""Start of every key: scanners for leaked secrets find it."""
RANDOM_BYTES = 32


@dataclass(frozen=True)
class Key:
    """A key, without its text.

    Attributes:
        name: Name of the key.
        hash: SHA-256 of its text.
        created: Unix time in seconds.
        revoked: Unix time in seconds; ``None`` if it is valid.
        requests_per_minute: Limit of requests; ``None`` for none.
        tokens_per_minute: Limit of tokens, prompts included; ``None`` for none.
        last_used: Unix time in seconds, accurate to a minute; ``None`` if it was not used.
    """

    name: str
    hash: str
    created: float
    revoked: float | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    last_used: float | None


def add(
    name: str, *, requests_per_minute: int | None = None, tokens_per_minute: int | None = None
) -> str:
    """Make a key, and return its text, which is kept nowhere.

    Args:
        name: Name of the key; that of a revoked one may be used again.
        requests_per_minute: Most requests in a minute; ``None`` for no limit.
        tokens_per_minute: Most tokens in a minute, prompts included; ``None`` for no limit.

    Raises:
        UsageError: The name or a limit is invalid, or a valid key has this name.
        ServeError: The state cannot be read or written.
    """
    _check_name(name)
    limits = {"requests_per_minute": requests_per_minute, "tokens_per_minute": tokens_per_minute}
    for limit, value in limits.items():
        if value is not None and value < 1:
            raise UsageError(f"{limit} {value}: must be at least 1; omit it for no limit")
    text = PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
    row = (name, header.digest(text), time.time(), requests_per_minute, tokens_per_minute)
    with database.writing() as connection:
        query = "select 1 from keys where name = ? and revoked is null"
        if connection.execute(query, (name,)).fetchone():
            raise UsageError(
                f"key {name!r}: exists already",
                next_command=f"choose another name, or llmops keys revoke {name}",
            )
        connection.execute(
            "insert or replace into keys (name, hash, created, requests_per_minute, tokens_per_minute)"
            " values (?, ?, ?, ?, ?)",
            row,
        )
    return text


def list_keys() -> list[Key]:
    """Return all keys, revoked ones included, sorted by name.

    Raises:
        ServeError: The state cannot be read.
    """
    with database.reading() as connection:
        return [Key(**dict(row)) for row in connection.execute("select * from keys order by name")]


def any_key() -> bool:
    """Return whether a key was ever made: a revoked one does not open a deployment again."""
    with database.reading() as connection:
        return connection.execute("select 1 from keys").fetchone() is not None


def revoke(name: str) -> None:
    """Revoke a key; running deployments refuse it within two seconds.

    Raises:
        NotFoundError: No valid key has this name.
        ServeError: The state cannot be read or written.
    """
    with database.writing() as connection:
        changed = connection.execute(
            "update keys set revoked = ? where name = ? and revoked is null", (time.time(), name)
        ).rowcount
    if not changed:
        raise NotFoundError(
            f"key {name!r}: no valid key has this name", next_command="llmops keys ls"
        )


def record_use(used: Mapping[str, float]) -> None:
    """Record when keys were last used.

    Args:
        used: Name of a key → Unix time in seconds.
    """
    with database.writing() as connection:
        connection.executemany(
            "update keys set last_used = ? where name = ?",
            [(moment, name) for name, moment in used.items()],
        )


def _check_name(name: str) -> None:
    if not MODEL_NAME.fullmatch(name):
        raise UsageError(
            f"key name {name!r}: allowed are letters, digits, `.`, `_` and `-`, beginning with a letter"
            " or digit, at most 128 characters"
        )
