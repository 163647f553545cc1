"""JSON lines: one record a line, and a line ends at a line feed alone."""

from __future__ import annotations

from collections.abc import Iterator


def lines(text: str) -> Iterator[tuple[int, str]]:
    """Number (from 1) and text of each line that is not blank.

    ``str.splitlines`` would also split at U+2028 and U+0085, which JSON leaves in strings as
    they are.
    """
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, line
