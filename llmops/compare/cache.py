"""The cache of answers and likelihoods, keyed by content.

A killed comparison resumes, and an unchanged baseline costs nothing.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from llmops.engine.chat_format import Messages
from llmops.errors import LlmopsError
from llmops.files import digest, home
from llmops.progress import say
from llmops.records import Side

MEMORY = Path(":memory:")
"""Path of a cache in memory, which is gone when it is closed."""
FILE = "results.sqlite"
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
        """Return the stored value; ``None`` if there is none or it is not JSON."""
        with self._usable():
            row = self._db.execute("select value from result where key = ?", (key,)).fetchone()
        if row is not None:
            self._read.add(key)
        try:
            return None if row is None else json.loads(row[0])
        except ValueError:
            return None  # it is only a cache

    def put(self, entries: Mapping[str, Any]) -> None:
        """Store several values in one transaction.

        Args:
            entries: Key → value that JSON can hold.
        """
        rows = [(key, json.dumps(value), _today()) for key, value in entries.items()]
        with self._usable(), self._db:
            self._db.executemany("insert or replace into result values (?, ?, ?)", rows)

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
        """Record when the results were used, and close the file."""
        with suppress(sqlite3.OperationalError), self._db:  # it only orders pruning
            query = "update result set used = ? where key = ?"
            self._db.executemany(query, [(_today(), key) for key in self._read])
        self._db.close()

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
    db = sqlite3.connect(path, timeout=30)
    try:
        db.execute("pragma journal_mode=wal")
        db.execute("pragma synchronous=normal")  # a power cut may lose the last results
        db.execute("create table if not exists result (key text primary key, value text not null)")
        columns = {row[1] for row in db.execute("pragma table_info(result)")}
        if not {"key", "value"} <= columns:
            raise sqlite3.DatabaseError("its table has an unknown layout")
        if "used" not in columns:  # before 0.2
            db.execute(f"alter table result add column used integer not null default {_today()}")
        db.execute("select sum(length(value)) from result").fetchone()  # reads every page
        db.commit()
    except sqlite3.DatabaseError:
        db.close()
        raise
    return db


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
