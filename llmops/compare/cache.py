"""The cache of answers and likelihoods, keyed by content.

A killed comparison resumes, and an unchanged baseline costs nothing. A row counts only with its
seal, a keyed digest (HMAC-SHA256): scores that were edited in the file, or that came with a file from
another machine, would decide a gate. The key lies in ``LLMOPS_HOME/keys``, so whoever can read the
files of this account can seal rows as well.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

from llmops.engine.chat_format import Messages
from llmops.errors import LlmopsError
from llmops.files import digest, home, keys, private
from llmops.progress import say
from llmops.records import Side

MEMORY = Path(":memory:")
"""Path of a cache in memory, which is gone when it is closed."""
FILE = "results.sqlite"
KEY_FILE = "answers"
SECONDS_A_DAY = 86_400.0


class ResultCache:
    """A key-value store in one SQLite file; every ``put`` survives a killed process.

    Args:
        path: The file; by default ``LLMOPS_HOME/cache/results.sqlite``.

    Raises:
        LlmopsError: The file cannot be opened, or stays locked; later, the disk is full.
    """

    def __init__(self, path: Path | None = None) -> None:
        path = path or home.folder("cache") / FILE
        self._read: set[str] = set()
        self._unsealed: set[str] = set()
        self._path = path
        with self._usable():
            try:
                self._db = _open(path)
            except sqlite3.OperationalError:  # locked, or a full disk: the file itself may be sound
                raise
            except sqlite3.DatabaseError as error:
                aside = path.with_suffix(".damaged")
                say(
                    f"warning: {path} is damaged ({error}); moved to {aside.name}, starting with"
                    " an empty cache"
                )
                path.replace(aside)
                self._db = _open(path)

    def get(self, key: str) -> Any | None:
        """Return the stored value; ``None`` if there is none, its seal is wrong, or it is not JSON."""
        query = "select value, seal from result where key = ?"
        with self._usable():
            row = self._db.execute(query, (key,)).fetchone()
        if row is None:
            return None
        value, seal = row
        if not keys.equal(seal, self._seal(key, value)):
            self._unsealed.add(key)
            return None
        self._read.add(key)
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return None  # it is only a cache

    def put(self, entries: Mapping[str, Any]) -> None:
        """Store several values in one transaction.

        Args:
            entries: Key → value that JSON can hold.
        """
        texts = {key: json.dumps(value) for key, value in entries.items()}
        rows = [(key, text, _today(), self._seal(key, text)) for key, text in texts.items()]
        query = "insert or replace into result (key, value, used, seal) values (?, ?, ?, ?)"
        with self._usable(), self._db:
            self._db.executemany(query, rows)

    def count(self, unused_for: float = 0.0) -> int:
        """Return the number of results that were not used for a number of days.

        Args:
            unused_for: Days since the last use; 0 counts every result.
        """
        query = "select count(*) from result where used <= ?"
        with self._usable():
            return int(self._db.execute(query, (_today() - unused_for,)).fetchone()[0])

    def prune(self, unused_for: float) -> int:
        """Remove the results that were not used for a number of days, and return their number.

        Args:
            unused_for: Days since the last use.
        """
        with self._usable():
            with self._db:
                query = "delete from result where used <= ?"
                removed = self._db.execute(query, (_today() - unused_for,)).rowcount
            self._db.execute("vacuum")
        return removed

    def close(self) -> None:
        """Record when the results were used, say how many had no valid seal, and close the file."""
        if self._unsealed:
            say(
                f"warning: {self._path}: {len(self._unsealed):,} cached results were not written by"
                " this llmops on this machine, or were changed since: ignored and computed again"
            )
            self._unsealed.clear()
        with suppress(sqlite3.OperationalError), self._db:  # it only orders pruning
            query = "update result set used = ? where key = ?"
            self._db.executemany(query, [(_today(), key) for key in self._read])
        self._db.close()

    def _seal(self, key: str, value: object) -> str:
        return keys.seal(self._secret, f"{key}\0{value}")

    @cached_property
    def _secret(self) -> bytes:
        if self._path == MEMORY:
            return secrets.token_bytes(keys.KEY_BYTES)
        return keys.key_of_home(
            KEY_FILE, of="answer cache", loss="cached answers are then computed again"
        )

    @contextmanager
    def _usable(self) -> Iterator[None]:
        """Name the file in the error if it cannot be read or written."""
        try:
            yield
        except sqlite3.Error as error:
            raise LlmopsError(
                f"answer cache {self._path}: cannot be read or written: {error}",
                next_command="free disk space, stop other processes that use the file, or set"
                " LLMOPS_HOME to another folder",
            ) from error

    def __enter__(self) -> ResultCache:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _open(path: Path) -> sqlite3.Connection:
    """Open the file, and read it once from end to end to find damage."""
    if path != MEMORY and not path.is_dir():
        with suppress(OSError):  # SQLite names the reason
            private.make_file(path)
    db = sqlite3.connect(path, timeout=30)
    try:
        db.execute("pragma journal_mode=wal")
        db.execute("pragma synchronous=normal")  # a power cut may lose the last results
        db.execute("begin immediate")  # of several processes, one makes or extends the table
        db.execute("create table if not exists result (key text primary key, value text not null)")
        columns = {row[1] for row in db.execute("pragma table_info(result)")}
        if not {"key", "value"} <= columns:
            raise sqlite3.DatabaseError("its table has an unknown layout")
        if "used" not in columns:  # before 0.2
            db.execute(f"alter table result add column used integer not null default {_today()}")
        if "seal" not in columns:
            db.execute("alter table result add column seal text")
        db.execute("select sum(length(value)) from result").fetchone()  # reads every page
        db.commit()
    except sqlite3.DatabaseError:
        db.close()
        raise
    return db


def entries(path: Path) -> int | None:
    """Return the number of results in a cache file, ``None`` if it cannot be read; change nothing."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            return int(db.execute("select count(*) from result").fetchone()[0])
    except sqlite3.Error:
        return None


def _today() -> int:
    """Return the days since 1970."""
    return int(time.time() // SECONDS_A_DAY)


def key(side: Side, kind: str, messages: Messages | str, detail: object) -> str:
    """Return the digest of everything that a result depends on.

    The base's digest covers its tokenizer and chat template. An endpoint is identified by its URI
    alone.

    Args:
        side: The side that answers.
        kind: What is computed, such as ``answer`` or ``turn-likelihood``.
        messages: The conversation, or a text to continue.
        detail: Sampling of the answer, or the response whose likelihood is computed.
    """
    content = messages if isinstance(messages, str) else [dict(message) for message in messages]
    identity = [side.base.digest, side.adapter_digest] if side.base else [side.uri, None]
    return digest.of_record([kind, *identity, content, detail])
