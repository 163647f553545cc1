"""JSON lines: one record a line; only a line feed ends a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the number (from 1) and text of each line that is not blank.

    ``str.splitlines`` would also split at U+2028 and U+0085, which JSON strings may hold
    unescaped.
    """
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, line


def read(path: Path) -> list[dict[str, Any]]:
    """Return the records of a file that llmops wrote itself."""
    return [json.loads(line) for _, line in lines(path.read_text(encoding="utf-8"))]
