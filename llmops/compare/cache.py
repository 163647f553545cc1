"""Generations and likelihoods, kept by content.

A killed comparison resumes, and a baseline that did not change costs nothing.
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
"""A cache that is forgotten at the end."""
FILE = "results.sqlite"
SECONDS_A_DAY = 86_400.0


class ResultCache:
    """A key-value store in one SQLite file; every ``put`` survives the end of this process.

    Args:
        path: The file; by default ``LLMOPS_HOME/cache/results.sqlite``.

    Raises:
        LlmopsError: It cannot be opened, or stays locked; later, there is no room for more.
    """

    def __init__(self, path: Path | None = None) -> None:
        path = path or home.folder("cache") / FILE
        self._read: set[str] = set()
        self._path = path
        with self._usable():
            try:
                self._db = _open(path)
            except sqlite3.OperationalError:  # locked, or no room: the file may be sound
                raise
            except sqlite3.DatabaseError as error:
                aside = path.with_suffix(".damaged")
                say(
                    f"warning: {path} is damaged ({error}); kept as {aside.name}, starting an empty"
                    " one"
                )
                path.replace(aside)
                self._db = _open(path)

    def get(self, key: str) -> Any | None:
        """The stored value, ``None`` if there is none."""
        with self._usable():
            row = self._db.execute("select value from result where key = ?", (key,)).fetchone()
        if row is not None:
            self._read.add(key)
        try:
            return None if row is None else json.loads(row[0])
        except ValueError:
            return None  # it is only a cache

    def put(self, entries: Mapping[str, Any]) -> None:
        """Stores several values in one transaction."""
        rows = [(key, json.dumps(value), _today()) for key, value in entries.items()]
        with self._usable(), self._db:
            self._db.executemany("insert or replace into result values (?, ?, ?)", rows)

    def count(self, unused_for: float = 0.0) -> int:
        """How many results there are, or how many nobody used for so many days."""
        query = "select count(*) from result where used <= ?"
        with self._usable():
            return int(self._db.execute(query, (_today() - unused_for,)).fetchone()[0])

    def prune(self, unused_for: float) -> int:
        """Removes results that nobody used for so many days; returns how many."""
        with self._usable():
            with self._db:
                query = "delete from result where used <= ?"
                removed = self._db.execute(query, (_today() - unused_for,)).rowcount
            self._db.execute("vacuum")
        return removed

    def close(self) -> None:
        """Writes down what was used, and closes the file."""
        with suppress(sqlite3.OperationalError), self._db:  # it only decides what is pruned first
            query = "update result set used = ? where key = ?"
            self._db.executemany(query, [(_today(), key) for key in self._read])
        self._db.close()

    @contextmanager
    def _usable(self) -> Iterator[None]:
        """Says which file it is that cannot be read or written."""
        try:
            yield
        except sqlite3.Error as error:
            raise LlmopsError(
                f"{self._path}: cannot be used: {error}",
                next_command="end other processes that use it, make room, or give LLMOPS_HOME"
                " another folder",
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
    """A connection whose file was read through once."""
    db = sqlite3.connect(path, timeout=30)
    try:
        db.execute("pragma journal_mode=wal")
        db.execute("pragma synchronous=normal")  # a power cut may take the last results: a cache
        db.execute("create table if not exists result (key text primary key, value text not null)")
        columns = {row[1] for row in db.execute("pragma table_info(result)")}
        if not {"key", "value"} <= columns:
            raise sqlite3.DatabaseError("its table has another layout")
        if "used" not in columns:  # before 0.2
            db.execute(f"alter table result add column used integer not null default {_today()}")
        db.execute("select sum(length(value)) from result").fetchone()  # no index has it
        db.commit()
    except sqlite3.DatabaseError:
        db.close()
        raise
    return db


def _today() -> int:
    """Days since 1970: a result's last use."""
    return int(time.time() // SECONDS_A_DAY)


def key(side: Side, kind: str, messages: Messages | str, detail: object) -> str:
    """What a result depends on: base, adapter, messages, and sampling or response.

    The base's digest covers its tokenizer and chat template. Of an endpoint only its URI is known.
    """
    asked = messages if isinstance(messages, str) else [dict(message) for message in messages]
    identity = [side.base.digest, side.adapter_digest] if side.base else [side.uri, None]
    return digest.of_record([kind, *identity, asked, detail])
