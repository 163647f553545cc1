"""Files damaged on purpose."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any


def flip(path: Path, position: int = -1) -> None:
    """Flips one bit of a file."""
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def edit(path: Path, **entries: Any) -> None:
    """Changes entries of a JSON file; makes the file if there is none."""
    content = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps({**content, **entries}))


def leave_alias_dangling(store: str, version: str, alias: str = "champion") -> None:
    """Points an alias to a version that does not exist, as a registry does that keeps its aliases."""
    with closing(sqlite3.connect(store.removeprefix("sqlite:///"))) as database:
        database.execute(
            "update registered_model_aliases set version = ? where alias = ?", (version, alias)
        )
        database.commit()
