"""The console script ``llmops``, also started by ``python -m llmops``."""

from __future__ import annotations

import atexit
import os
import sys
from typing import NoReturn

_ended: int | None = None


def main() -> NoReturn:
    """Run the command line; end the process once threads and exit handlers have finished."""
    global _ended
    atexit.register(_leave)  # registered first, so that it is called last
    from llmops.cli.main import main as command
    from llmops.errors import EXIT_INTERRUPTED

    try:
        command()
    except SystemExit as ended:
        _ended = ended.code if isinstance(ended.code, int) else None
        if _ended == EXIT_INTERRUPTED:
            _leave()  # a thread may wait for a server that never answers
        raise


def _leave() -> None:
    """End the process at once: after torch, freeing every object takes two seconds."""
    if _ended is None:
        return
    try:
        for stream in filter(None, (sys.stdout, sys.stderr)):  # None: closed by the parent
            stream.flush()
    except OSError:  # such as a closed pipe, which Python reports itself
        return
    os._exit(_ended)


if __name__ == "__main__":
    main()
