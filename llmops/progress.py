"""Progress of long work on stderr: a bar on a terminal, a line a minute elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LINE_EVERY_SECONDS = 60.0
LOG_LINES = 15


class Progress:
    """Counts units of work and shows them.

    Args:
        total: Units in all.
        label: What is being done, such as ``train``.
        initial: Units already done, after a resume.
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
        """Adds finished units; ``detail`` is shown behind the bar."""
        self.done += units
        self._detail = detail
        if self._bar is not None:
            self._bar.set_postfix_str(detail, refresh=False)
            self._bar.update(units)
        elif time.monotonic() - self._last_line >= LINE_EVERY_SECONDS:
            self._line()

    def close(self) -> None:
        """Ends the bar, or says in a line how far the work got."""
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
    """A ``Progress`` that is closed whatever happens."""
    shown = Progress(total, label, initial=initial)
    try:
        yield shown
    finally:
        shown.close()


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Switch off transformers' own bar for loading and writing weights: ours shows progress."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def say(text: str) -> None:
    """A line for people, on stderr, so that stdout carries results alone."""
    print(text, file=sys.stderr, flush=True)


def last_words(log: Path) -> str:
    """The end of a log of another process, for the error that tells of its failure."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(f"  | {line}" for line in lines[-LOG_LINES:])
