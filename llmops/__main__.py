"""``python -m llmops``, and the console script."""

from __future__ import annotations

import atexit
import os
import sys
from typing import NoReturn

_ended: int | None = None


def main() -> NoReturn:
    """Runs the command line, and leaves when all that was to be done at the end is done."""
    global _ended
    atexit.register(_leave)  # before all others, so that it is the last to be called
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
    """Ends the process at once: after torch, freeing every object by itself takes two seconds."""
    if _ended is None:
        return
    try:
        for stream in filter(None, (sys.stdout, sys.stderr)):  # None: closed by whoever began us
            stream.flush()
    except OSError:  # such as a closed pipe: Python has its own way to tell
        return
    os._exit(_ended)


if __name__ == "__main__":
    main()
