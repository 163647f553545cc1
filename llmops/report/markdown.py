"""Markdown for MLflow's pages: escaped text, readable tables, links that work.

MLflow's renderer draws table cells one pixel apart and trims spaces, so every cell but the last ends
in ``&emsp;``. It follows a relative link only if it begins with ``#/`` or ``get-artifact?``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote

LIMIT = 5_000
"""Characters that MLflow's schema declares for a description (a run note has 8,000)."""
LINK_LIMIT = 240
"""Most characters of an address; longer links are left out."""

_MARKDOWN = re.compile(r"([\\`*\[\]<>|&~$]|(?<![^\W_])_|_(?![^\W_]))")


def escape(text: str) -> str:
    """Escape text so that Markdown shows it as it is: ``__main__``, but not ``snake_case``."""
    return _MARKDOWN.sub(r"\\\1", text)


def code(text: str) -> str:
    """Return text that can stand in a code span."""
    return text.replace("`", "'")


def address(url: str) -> str:
    """Quote an address so that it ends neither its parentheses nor its table cell."""
    return quote(url, safe="%/#?=&:,;@+!$", errors="replace")


def row(cells: Sequence[str]) -> str:
    """Return the cells as one line of a table."""
    *padded, last = cells
    return "".join(f"| {cell}&emsp; " for cell in padded) + f"| {last} |"
