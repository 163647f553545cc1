"""Files damaged on purpose."""

from __future__ import annotations

import json
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
