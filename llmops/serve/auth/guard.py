"""The guard of a deployment: which key a request carries, and what is left of its limits."""

from __future__ import annotations

import hmac
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from llmops.engine.openai.errors import ApiError
from llmops.errors import ServeError
from llmops.serve.auth import header, store
from llmops.serve.auth.buckets import Bucket
from llmops.serve.auth.store import Key
from llmops.serve.deployment import address
from llmops.serve.deployment.config import Config
from llmops.serve.deployment.record import database
from llmops.serve.gateway.hooks import Caller

READ_SECONDS = 1.0
"""Least seconds between two looks at the table of keys."""
USE_SECONDS = 60.0
"""Least seconds between two records of a key's last use."""
OWNER = "LLMOPS_API_KEY"
"""Name of the key that was in this variable when the deployment was created."""
CHALLENGE = {"WWW-Authenticate": "Bearer"}


class Guard:
    """Admit requests by their key, within the key's limits.

    Its methods neither wait nor fail when the state cannot be read: the keys read last stay valid.

    Args:
        config: The deployment.
        clock: Returns the time in seconds.

    Raises:
        ServeError: The state cannot be read.
    """

    def __init__(self, config: Config, clock: Callable[[], float] = time.monotonic) -> None:
        self._own, self._clock = config.key_hash, clock
        self._database = database.connect()
        self._version: int | None = None
        self._keys: list[Key] = []
        self._requests: dict[str, Bucket] = {}
        self._tokens: dict[str, Bucket] = {}
        self._used: dict[str, float] = {}
        self._read = self._recorded = clock()
        self._open = not address.reached_by_others(config.host)
        self._load()

    @property
    def keyless(self) -> bool:
        """Whether requests need no key: there is none, and only this machine can ask."""
        return self._open and self._own is None and not self._keys

    def admit(self, headers: Mapping[str, str]) -> Caller:
        """Return who asks, and count the request.

        Args:
            headers: Headers of the request, names in lower case or case-insensitive.

        Raises:
            ApiError: 401 without a valid key, 429 with ``Retry-After`` beyond a limit.
        """
        if self._clock() - self._read >= READ_SECONDS:
            self._look()
        if self.keyless:
            return Caller(None)
        name = self._name(header.bearer(headers.get("authorization")))
        self._limit(name)
        self._use(name)
        return Caller(name)

    def spend(self, caller: Caller, tokens: int) -> None:
        """Count the tokens of an answer and its prompt; beyond the limit, the next request waits."""
        if bucket := self._tokens.get(caller.name or ""):
            bucket.take(tokens)

    def close(self) -> None:
        """Close the state; the guard admits nobody new who was added since."""
        self._database.close()

    def _name(self, given: str | None) -> str:
        """Return the name of a key; every hash is compared, in constant time.

        Raises:
            ApiError: 401; it does not say whether the key was ever valid.
        """
        found = ""
        digest = "" if given is None else header.digest(given)
        if self._own is not None and hmac.compare_digest(digest, self._own):
            found = OWNER
        for key in self._keys:
            same = hmac.compare_digest(digest, key.hash)
            if same:  # also if it was the key at `create`: it can be revoked and limited
                found = key.name if key.revoked is None else ""
        if not found:
            message = "the key is not valid" if given else "a key is required"
            raise ApiError(
                401,
                f"{message}: send `Authorization: Bearer KEY`",
                code="invalid_api_key",
                headers=CHALLENGE,
            )
        return found

    def _limit(self, name: str) -> None:
        for buckets, what, units in (
            (self._requests, "requests", 1),
            (self._tokens, "tokens", 1),
        ):
            bucket = buckets.get(name)
            seconds = bucket.wait(units) if bucket is not None else 0
            if bucket is not None and seconds:
                raise ApiError(
                    429,
                    f"the limit of this key is {bucket.limit} {what} a minute; retry after {seconds} s",
                    code="rate_limit_exceeded",
                    headers={"Retry-After": str(seconds)},
                )
        if name in self._requests:
            self._requests[name].take(1)

    def _look(self) -> None:
        """Read the keys again if the state was written by anybody since."""
        self._read = self._clock()
        with suppress(sqlite3.Error, ServeError):
            self._load()

    def _load(self) -> None:
        (version,) = self._database.execute("pragma data_version").fetchone()
        if version == self._version:
            return
        self._keys = store.list_keys()
        self._version = version
        self._requests = self._renewed(self._requests, lambda key: key.requests_per_minute)
        self._tokens = self._renewed(self._tokens, lambda key: key.tokens_per_minute)

    def _renewed(
        self, buckets: Mapping[str, Bucket], limit: Callable[[Key], int | None]
    ) -> dict[str, Bucket]:
        """Return the buckets of the keys: those with the same limit keep what is left in them."""
        renewed = {}
        for key in self._keys:
            per_minute = limit(key)
            if per_minute is not None:
                old = buckets.get(key.name)
                keep = old is not None and old.limit == per_minute
                renewed[key.name] = old if keep and old else Bucket(per_minute, self._clock)
        return renewed

    def _use(self, name: str) -> None:
        """Remember when a key was used; it is recorded by a thread, as writing may wait."""
        self._used[name] = time.time()
        if self._clock() - self._recorded >= USE_SECONDS:
            self._recorded, used, self._used = self._clock(), self._used, {}
            threading.Thread(target=_record, args=(used,), daemon=True).start()


def _record(used: Mapping[str, float]) -> None:
    with suppress(ServeError):
        store.record_use(used)
