"""Logs of other programs, which write to them without an end."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from llmops.files import private

MAX_BYTES = 10_000_000
"""Bytes of a log; one earlier file of the same size is kept."""


def cap(log: Path, most: int = MAX_BYTES) -> bool:
    """Move the end of a log that has grown too large to ``LOG.1``, and empty it.

    Whoever writes to it need not open it again, but must have opened it for appending.

    Args:
        log: The log; it may be gone.
        most: Maximum bytes, of each of the two files.

    Returns:
        Whether it was too large.

    Raises:
        OSError: It cannot be read or written.
    """
    try:
        size = log.stat().st_size
    except FileNotFoundError:
        return False
    if size <= most:
        return False
    earlier = private.make_file(log.with_name(f"{log.name}.1"))
    with log.open("rb") as found, earlier.open("wb") as kept:
        found.seek(size - most)
        shutil.copyfileobj(found, kept)
    os.truncate(log, 0)
    return True
