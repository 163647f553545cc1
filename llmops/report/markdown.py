"""Markdown for MLflow's pages: foreign text that stays text, tables with room, links that work.

MLflow's renderer draws table cells one pixel apart and trims spaces, so every cell but the last
ends in an ``&emsp;``; it follows relative links only if they begin with ``#/`` or
``get-artifact?``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote

LIMIT = 5_000
"""Characters that MLflow's schema declares for a description (a run note has 8,000)."""
LINK_LIMIT = 240

_MARKDOWN = re.compile(r"([\\`*\[\]<>|&~$]|(?<![^\W_])_|_(?![^\W_]))")


def escape(text: str) -> str:
    """Text that Markdown shows as it is; ``snake_case`` needs no escape, ``__main__`` does."""
    return _MARKDOWN.sub(r"\\\1", text)


def code(text: str) -> str:
    """Text for a code span."""
    return text.replace("`", "'")


def address(url: str) -> str:
    """An address that ends neither its parentheses nor its table cell."""
    return quote(url, safe="%/#?=&:,;@+!$")


def row(cells: Sequence[str]) -> str:
    """A line of a table."""
    *padded, last = cells
    return "".join(f"| {cell}&emsp; " for cell in padded) + f"| {last} |"
