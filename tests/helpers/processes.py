"""The processes that a test started."""

from __future__ import annotations

import psutil

from llmops.models.foreign import worker


def started(*, recursive: bool = False) -> list[psutil.Process]:
    """Return this process's live children, without the limited process that renders templates."""
    return [
        child
        for child in psutil.Process().children(recursive=recursive)
        if child.status() != psutil.STATUS_ZOMBIE and worker.__file__ not in child.cmdline()
    ]
