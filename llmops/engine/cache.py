"""Generations and likelihoods, kept by content.

A killed comparison resumes, and a baseline that did not change costs nothing.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from llmops import digest, home
from llmops.records import ModelFiles


class ResultCache:
    """A key-value store in one SQLite file; every ``put`` is durable when it returns.

    Args:
        path: The file; by default ``LLMOPS_HOME/cache/results.sqlite``.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._db = sqlite3.connect(path or home.folder("cache") / "results.sqlite", timeout=30)
        self._db.execute("pragma journal_mode=wal")
        self._db.execute(
            "create table if not exists result (key text primary key, value text not null)"
        )
        self._db.commit()

    def get(self, key: str) -> Any | None:
        """The stored value, ``None`` if there is none."""
        row = self._db.execute("select value from result where key = ?", (key,)).fetchone()
        return None if row is None else json.loads(row[0])

    def put(self, entries: Mapping[str, Any]) -> None:
        """Stores several values in one transaction."""
        rows = [(key, json.dumps(value)) for key, value in entries.items()]
        with self._db:
            self._db.executemany("insert or replace into result values (?, ?)", rows)

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    def __enter__(self) -> ResultCache:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def key(side: ModelFiles, kind: str, messages: Sequence[Mapping[str, str]], detail: object) -> str:
    """What a result depends on: base, adapter, messages, and sampling or response.

    The base's digest covers its tokenizer and chat template.
    """
    return digest.of_record(
        [
            kind,
            side.base.digest,
            side.adapter_digest,
            [dict(message) for message in messages],
            detail,
        ]
    )
