"""Progress of long work on stderr: a bar on a terminal, one line a minute elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llmops.errors import masked

LINE_EVERY_SECONDS = 60.0
LOG_LINES = 15


class Progress:
    """A counter of finished work that is shown on stderr.

    Args:
        total: Units of work in all.
        label: The name of the work, such as ``train``.
        initial: Units that were finished before a resume.
    """

    def __init__(self, total: int, label: str, *, initial: int = 0) -> None:
        self.total, self.label, self.done = total, label, initial
        self._detail = ""
        self._last_line = time.monotonic()
        self._printed = -1
        self._bar = None
        if sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(
                total=total, desc=label, initial=initial, file=sys.stderr, disable=False
            )

    def advance(self, units: int = 1, detail: str = "") -> None:
        """Add finished units; show ``detail`` behind the bar."""
        self.done += units
        self._detail = detail
        if self._bar is not None:
            self._bar.set_postfix_str(detail, refresh=False)
            self._bar.update(units)
        elif time.monotonic() - self._last_line >= LINE_EVERY_SECONDS:
            self._line()

    def close(self) -> None:
        """End the bar, or print one last line with the units that are finished."""
        if self._bar is not None:
            self._bar.close()
        elif self._printed != self.done:
            self._line()

    def _line(self) -> None:
        self._last_line, self._printed = time.monotonic(), self.done
        tail = f"  {self._detail}" if self._detail else ""
        print(f"{self.label}: {self.done}/{self.total}{tail}", file=sys.stderr, flush=True)


@contextmanager
def progress(total: int, label: str, *, initial: int = 0) -> Iterator[Progress]:
    """Yield a ``Progress`` and close it at the end, also after an error."""
    counter = Progress(total, label, initial=initial)
    try:
        yield counter
    finally:
        counter.close()


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Switch off transformers' own progress bar for loading and writing weights; ours is shown."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def say(text: str) -> None:
    """Print a line for people on stderr, credentials masked; stdout carries results only."""
    print(masked(text), file=sys.stderr, flush=True)


def last_words(log: Path) -> str:
    """Return the last lines of another process's log, to be quoted in an error message."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return masked("\n".join(f"  | {line}" for line in lines[-LOG_LINES:]))
